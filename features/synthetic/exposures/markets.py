"""Markets of exposures that are ready to use, by name; their dials were fixed before any model of ours was judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from features.synthetic.exposures.market import ExposureMarket, Lever, Pair, Response

# name, source, touch type, touches in 13 weeks, cost of one in cents, how much it chases intent where exposure does
_CHANNELS = (
    ("Paid Search", "ads", "ad_click", 0.6, 420, 1.6),
    ("Paid Social", "ads", "ad_click", 0.7, 260, 0.5),
    ("Display", "ads", "ad_view", 0.5, 90, 2.2),
    ("Content Syndication", "marketing", "content_download", 0.2, 4_500, 1.4),
    ("Email", "marketing", "email_click", 0.8, 15, 0.8),
    ("Event", "marketing", "event_attended", 0.25, 18_000, 0.1),
    ("Webinar", "marketing", "webinar_registered", 0.35, 2_200, 0.6),
    ("Outbound Sales", "crm", "call", 0.5, 2_500, 1.5),
    ("Partner", "crm", "referral", 0.25, 6_000, 0.2),
)
_RESPONSES = (
    Response("Direct", 0.018, 0.03),
    Response("Organic Search", 0.013, 0.015),
    Response("Referral", 0.005, 0.005),
)
_EFFECTS = (0.4, 0.25, 0.0, 0.0, 0.25, 0.75, 0.5, 0.55, 0.8)
_FADES = (10, 7, 10, 14, 4, 45, 21, 14, 30)
"""Half-lives in days: of an e-mail a few, of an event many."""


def _levers(effects: tuple[float, ...], fades: tuple[float, ...] = _FADES) -> tuple[Lever, ...]:
    return tuple(
        Lever(*channel, effect=effect, half_life_days=fade)
        for channel, effect, fade in zip(_CHANNELS, effects, fades, strict=True)
    )


_LOGISTIC = ExposureMarket("logistic", -7.9, _levers(_EFFECTS), _RESPONSES)
_STRONG = replace(_LOGISTIC, logit=-8.6, intent_slope=1.5, confounding=0.75, proxy=0.8)
_HAZARD = ExposureMarket("hazard", -7.8, _levers((0.8, 0.6, 0.0, 0.0, 0.8, 1.1, 0.9, 1.0, 1.3)), _RESPONSES)
_SATURATION = ExposureMarket(
    "saturation", -7.8, _levers((0.9, 0.6, 0.0, 0.0, 0.6, 1.3, 1.0, 1.1, 1.5), tuple(2.0 * fade for fade in _FADES)),
    _RESPONSES,
)  # fmt: skip
_SYNERGY = ExposureMarket(
    "synergy", -7.9, _levers((0.3, 0.15, 0.0, 0.0, 0.15, 0.55, 0.35, 0.35, 0.65)), _RESPONSES,
    pairs=(
        Pair("Webinar", "Outbound Sales", 0.7), Pair("Event", "Outbound Sales", 0.6), Pair("Paid Social", "Email", 0.4),
        Pair("Paid Search", "Email", 0.4),
    ),
)  # fmt: skip
_ORDER = ExposureMarket(
    "order", -7.9, _levers((0.45, 0.2, 0.0, 0.0, 0.3, 0.65, 0.35, 0.3, 0.75)), _RESPONSES,
    pairs=(
        Pair("Webinar", "Outbound Sales", 0.7), Pair("Email", "Outbound Sales", 0.5),
        Pair("Paid Social", "Webinar", 0.5), Pair("Outbound Sales", "Paid Search", -0.35),
        Pair("Partner", "Email", -0.25),
    ),
)  # fmt: skip
_HIDDEN = Lever("Analyst Briefing", "nobody", "meeting", 0.3, 5_000, 1.0, effect=0.8, recorded=False)

MARKETS: Mapping[str, ExposureMarket] = MappingProxyType(
    {
        "logistic": _LOGISTIC,
        "hazard": _HAZARD,
        "saturation": _SATURATION,
        "synergy": _SYNERGY,
        "order": _ORDER,
        "confounded_weak": replace(_STRONG, confounding=0.25),
        "confounded_strong": _STRONG,
        "unobserved": replace(_LOGISTIC, levers=(*_LOGISTIC.levers, _HIDDEN), company=("Event", "Analyst Briefing")),
    }
)
"""By name. Exposure follows hidden intent in the two confounded ones only; what anybody can see steers it in all."""
