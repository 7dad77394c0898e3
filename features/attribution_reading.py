"""The table ``[attribution]`` of an agreement, read and checked."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from types import MappingProxyType

from features.agreement import BOUGHT_AGAIN, Attribution, CreditRule, Stages
from features.errors import AgreementError
from features.toml_section import Section
from features.touch_types import TouchType

_OURS = re.compile(
    r"first|last|last_non_direct|linear|time_decay|position|w_shaped|full_path|incremental|(markov|shapley)_.*"
)
"""Names of the models that are there, which a rule of the users' own may not take."""

_LONGEST_HORIZON = 36_500
"""A century, in days: far beyond, sums with moments would leave the range of 64 bits."""

_SHARES = ("first", "last", "lead", "deal", "middle")


def read_attribution(section: Section, stages: Stages, touch_types: Mapping[str, TouchType]) -> Attribution:
    """Read how touches earn credit.

    Raises
    ------
    AgreementError
        With the dotted path of the key.
    """
    attribution = Attribution(
        transition=section.text("transition", choices=(*stages.order, *BOUGHT_AGAIN)),
        lookback_days=section.whole("lookback_days", least=0),
        lookback_touches=section.whole("lookback_touches", least=0),
        half_life_days=section.number("half_life_days", above=0),
        step_days=section.whole("step_days"),
        horizon_days=section.whole("horizon_days"),
        direct=section.texts("direct", least=0),
        levers=section.texts("levers", least=0),
        response_types=section.texts("response_types", choices=tuple(touch_types), least=0),
        excluded_types=section.texts("excluded_types", choices=tuple(touch_types), least=0),
        outbound=section.text("outbound", choices=("count", "exclude")),
        models=MappingProxyType({name: _rule(name, models) for name, models in section.section("models").named()}),
    )
    section.close()
    if both := [channel for channel in attribution.direct if channel in attribution.levers]:
        raise section.wrong("direct", "may not name a channel that is a lever", both[0])
    if both := [name for name in attribution.excluded_types if name in attribution.response_types]:
        raise section.wrong("excluded_types", "may not name a type of `response_types`", both[0])
    if not attribution.step_days <= (horizon := attribution.horizon_days) <= _LONGEST_HORIZON:
        raise section.wrong(
            "horizon_days",
            f"must be at least {attribution.step_days}, a step, and at most {_LONGEST_HORIZON:,}",
            horizon,
        )
    return attribution


def _rule(name: str, section: Section) -> CreditRule:
    shares = {share: section.number(share, 0.0) for share in _SHARES}
    rule = CreditRule(name=name, **shares, exclude=section.texts("exclude", (), least=0))
    section.close()
    if _OURS.fullmatch(name):
        raise AgreementError(f"`{section.path}` has the name of a built-in model.", hint="Give the rule another name.")
    for share, weight in shares.items():
        if weight < 0:
            raise section.wrong(share, "must not be negative", weight)
    if not math.isclose(total := math.fsum(shares.values()), 1.0, abs_tol=1e-9):
        raise section.wrong("first", f"and {', '.join(_SHARES[1:])} must make 1 together", round(total, 9))
    return rule
