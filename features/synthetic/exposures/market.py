"""What a market of exposures is made of: levers, responses, how touches act, and the dials."""

from __future__ import annotations

from dataclasses import dataclass

DAYS = 91
"""How long an account is under observation: 13 weeks, in days."""

EARLIER_DAYS = 56
"""How long before that only responses happen: 8 weeks, in days."""


@dataclass(frozen=True)
class Lever:
    """A channel that we choose to spend on.

    Parameters
    ----------
    name : str
        Channel of its touches.
    source : str
        System that reports them.
    touch_type : str
    touches : float
        Mean number of touches of an account in `DAYS`.
    unit_cost : int
        Cost of a touch in minor units of euros.
    chase : float, default=1.0
        How much its exposure follows intent, as a factor on the `confounding` of the market.
    effect : float, default=0.0
        What it adds to the daily log-odds of conversion: per unit of what the shape of the market makes of its touches.
    half_life_days : float, default=30.0
        Time in which a touch comes to count half, in the shapes that fade.
    recorded : bool, default=True
        Whether anybody writes its touches down.
    """

    name: str
    source: str
    touch_type: str
    touches: float
    unit_cost: int
    chase: float = 1.0
    effect: float = 0.0
    half_life_days: float = 30.0
    recorded: bool = True


@dataclass(frozen=True)
class Response:
    """A channel by which accounts act of themselves: without effect, it shows intent and echoes the levers.

    Parameters
    ----------
    name : str
    weekly : float
        Touches a week of an account with average intent.
    stirred : float
        Further touches that one touch of any lever brings about.
    """

    name: str
    weekly: float
    stirred: float


@dataclass(frozen=True)
class Pair:
    """Two levers of which one changes what the other does.

    Parameters
    ----------
    first, second : str
        Names of levers.
    effect : float
        Added to the daily log-odds: in the shape ``synergy`` once both have touched, in the shape ``order`` once
        `second` has touched after `first` had.
    """

    first: str
    second: str
    effect: float


@dataclass(frozen=True)
class ExposureMarket:
    """Everything that decides how accounts are exposed and what comes of it.

    Parameters
    ----------
    shape : str
        How touches act: a key of `features.synthetic.exposures.shapes.SHAPES`.
    logit : float
        Daily log-odds of conversion of an average account without touches.
    levers : tuple of Lever
    responses : tuple of Response
    pairs : tuple of Pair, default=()
    accounts : int, default=50_000
    fit_slope : float, default=0.6
        Change of the log-odds per standard deviation of fit, which anybody can see.
    intent_slope : float, default=1.0
        Change of the log-odds per standard deviation of intent, which is hidden.
    targeting : float, default=0.3
        Slope of the log rate of every lever in fit.
    confounding : float, default=0.0
        Slope of the log rate of a lever in intent, times its `chase`.
    response_pull : float, default=0.6
        Slope of the log rate of every response in intent.
    proxy : float, default=0.0
        Correlation with intent of an attribute known at the start; 0 for no such attribute.
    shared_spread : float, default=0.4
        Standard deviation of the log rate that all levers of an account share: busy accounts.
    own_spread : float, default=0.6
        Standard deviation of the log rate of each lever by itself.
    company : tuple of (str, str), default=()
        Two levers that share their own spread: accounts that get much of one get much of the other.
    """

    shape: str
    logit: float
    levers: tuple[Lever, ...]
    responses: tuple[Response, ...]
    pairs: tuple[Pair, ...] = ()
    accounts: int = 50_000
    fit_slope: float = 0.6
    intent_slope: float = 1.0
    targeting: float = 0.3
    confounding: float = 0.0
    response_pull: float = 0.6
    proxy: float = 0.0
    shared_spread: float = 0.4
    own_spread: float = 0.6
    company: tuple[()] | tuple[str, str] = ()

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the levers, then of the responses."""
        return tuple(process.name for process in self.levers) + tuple(process.name for process in self.responses)

    def lever(self, name: str) -> int:
        """Return the position of a lever.

        Raises
        ------
        ValueError
            When the market has no such lever.
        """
        return [lever.name for lever in self.levers].index(name)
