"""How far credit is from the truth: measures that are the same for every model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from features.synthetic.exposures import ExposureMarket, Worth

Floats = npt.NDArray[np.float64]

REACH = 2.0
"""A budget is at most doubled or halved."""

_TRACE = 1e-6


@dataclass(frozen=True)
class Judge:
    """The truth of one market.

    Parameters
    ----------
    market : ExposureMarket
    truth : Worth
    touches : mapping of str to int
        Recorded touches by channel: with the unit costs, what is spent today.
    """

    market: ExposureMarket
    truth: Worth
    touches: Mapping[str, int]

    def measures(self, credit: Mapping[str, float], total: float) -> dict[str, float]:
        """Return the measures of the credit of one model.

        Parameters
        ----------
        credit : mapping of str to float
            By channel, in any unit; what is not given to a channel is not in it.
        total : float
            Conversions that the model gives to all channels together.

        Returns
        -------
        dict of str to float
            `tvd`: half the sum over all channels of the distance of the share of credit to the true share, which is 0
            for responses. `tvd_levers`: the same once credit of responses is left out, as it would be of a model that
            is told which channels they are; NaN where levers have none. `rank`: Spearman's correlation with the truth
            over the levers. `null`: share, of either sign, of the levers without effect. `total`: relative error of the
            conversions given to channels. `regret`: as `_regret`, in conversions; `lost`: the same as a share.
        """
        given = np.array([credit.get(channel, 0.0) for channel in self.truth.channels])
        lever = np.arange(len(given)) < len(self.market.levers)
        played = lever & self.truth.recorded
        share, true = given / given.sum(), self.truth.shares
        of_levers = given[lever] / given[lever].sum() if given[lever].any() else np.nan
        brought = self.truth.incremental
        regret, lost = self._regret(given[played], brought[played])
        return {
            "tvd": 0.5 * float(np.abs(share - true).sum()),
            "tvd_levers": 0.5 * float(np.abs(of_levers - true[lever]).sum()),
            "rank": float(spearmanr(given[played], brought[played]).statistic) if np.ptp(given[played]) else 0.0,
            "null": float(np.abs(share[played & (brought == 0)]).sum()),
            "total": total / float(brought[self.truth.recorded].sum()) - 1,
            "regret": regret,
            "lost": lost,
        }

    def _regret(self, given: Floats, brought: Floats) -> tuple[float, float]:
        """Return the true incremental conversions lost when the budget of today follows the credit, and their share.

        Lever c costs s today and truly brings V. At x times as much it would bring ``V sqrt(x)``: returns diminish.
        Nobody moves a budget by more than `REACH` in either direction. Under these bounds and today's total, who
        believes the credit makes the sum of ``credit sqrt(x)`` largest; what that truly brings is compared with what
        the truth would have advised. Credit below 0 counts as none; what levers with credit can not take is spread
        evenly over those without.
        """
        today = np.array(
            [lever.unit_cost * self.touches.get(lever.name, 0) for lever in self.market.levers if lever.recorded],
            dtype=np.float64,
        )
        used = today > 0
        today, brought, given = today[used], brought[used], given[used]
        best, got = (float(brought @ np.sqrt(_follow(belief, today))) for belief in (brought, given))
        return best - got, 1 - got / best


def _follow(belief: Floats, today: Floats) -> Floats:
    """Return the factor on today's spending that is best for who believes this."""
    rate = belief / today
    if rate.max() <= 0:
        return np.ones(len(today))
    # A trace of belief in the others lets them take what is left over.
    rate = np.maximum(rate, _TRACE * rate.max())
    # At the optimum a lever inside its bounds has x = (rate / price) ** 2, for the one price that spends the budget.
    low, high = np.log(rate.min()) - 5, np.log(rate.max()) + 5
    for _ in range(100):
        price = (low + high) / 2
        factor = np.clip((rate / np.exp(price)) ** 2, 1 / REACH, REACH)
        low, high = (price, high) if factor @ today > today.sum() else (low, price)
    return factor
