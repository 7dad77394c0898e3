"""How strong a hidden confounder must be to explain an effect away."""

from __future__ import annotations

import numpy as np

from models.attribution.incremental.cases import Cases


def tipping_points(cases: Cases) -> list[float]:
    """Return for each lever the log-odds that a confounder must have with being touched, and with converting.

    With RR the ratio by which the lever multiplied the hazard, on geometric average over the conversions it had
    touched, a confounder that explains it away must be tied to both by at least the E-value
    ``RR + sqrt(RR (RR - 1))``; here its logarithm, because conversions are rare at any moment, so that ratios of risks
    are ratios of odds. Of several passages the one counts where it takes most. 0 for a lever that touched no
    conversion.

    References
    ----------
    T. J. VanderWeele and P. Ding, Sensitivity analysis in observational research: introducing the E-value, Annals of
    Internal Medicine 167, 2017.
    """
    means = np.zeros(len(cases.levers))
    for passing in cases.passings:
        touched = (passing.terms[:, : len(cases.levers)] != 0).sum(axis=0)
        means = np.maximum(means, np.abs(passing.parts.sum(axis=0)) / np.maximum(touched, 1))
    ratio = np.exp(means)
    points: list[float] = np.log(ratio + np.sqrt(ratio * (ratio - 1))).tolist()
    return points
