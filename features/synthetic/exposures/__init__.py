"""Markets whose true credit is known exactly: exposures to levers, one kind of conversion, Shapley values as the truth.

`simulate_exposures` turns an `ExposureMarket`, such as one of `MARKETS`, and a seed into journeys, what was known of
the accounts before them, and what every channel is worth; `tables` gives the same as tables of the contract.
"""

from features.synthetic.exposures.market import DAYS, EARLIER_DAYS, ExposureMarket, Lever, Pair, Response
from features.synthetic.exposures.markets import MARKETS
from features.synthetic.exposures.shapley import Worth
from features.synthetic.exposures.simulation import Exposures, simulate_exposures
from features.synthetic.exposures.tables import tables

__all__ = [
    "DAYS",
    "EARLIER_DAYS",
    "MARKETS",
    "ExposureMarket",
    "Exposures",
    "Lever",
    "Pair",
    "Response",
    "Worth",
    "simulate_exposures",
    "tables",
]
