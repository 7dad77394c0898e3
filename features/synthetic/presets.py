"""Markets that are ready to use, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from features.synthetic.market import FollowUp, Kind, Market, Process, Step

# Factors on rates by state:  lead  mql  bql  sql  deal  customer  gone
_ADVERTISED = (1.0, 1.4, 1.4, 1.3, 1.1, 0.5, 0.5)
_NURTURED = (1.0, 1.8, 1.8, 1.5, 1.2, 1.0, 0.6)
_SOLD_TO = (0.5, 1.5, 4.0, 6.0, 6.0, 0.8, 0.2)
_CURIOUS = (1.0, 1.5, 1.8, 1.8, 1.6, 0.7, 0.5)
_SERVED = (0.0, 0.0, 0.0, 0.02, 0.05, 1.0, 0.0)

_PROCESSES = (
    Process(
        "Paid Search", "Paid Search", "lever", "ads", 0.9, (Kind("ad_click", 1.0),), _ADVERTISED,
        effect=0.45, half_life_days=14, excites={"Direct": 0.25}, waves=0.3, unit_cost=420,
    ),
    Process(
        "Paid Social", "Paid Social", "lever", "ads", 1.2, (Kind("ad_view", 0.5), Kind("ad_click", 0.5)), _ADVERTISED,
        effect=0.2, half_life_days=10, excites={"Direct": 0.1}, waves=0.4, unit_cost=260,
    ),
    Process(
        "Display", "Display", "lever", "ads", 1.4, (Kind("ad_view", 0.8), Kind("ad_click", 0.2)), _ADVERTISED,
        half_life_days=7, waves=0.4, unit_cost=90,
    ),
    Process(
        "Content Syndication", "Content Syndication", "lever", "marketing", 0.6, (Kind("content_download", 1.0),),
        _ADVERTISED, half_life_days=14, waves=0.5, lag_hours=60, unit_cost=4_500,
    ),
    Process(
        "Email", "Email", "lever", "marketing", 1.6, (Kind("email_click", 0.9), Kind("email_reply", 0.1, 0.5)),
        _NURTURED, effect=0.3, half_life_days=10, excites={"Direct": 0.2}, waves=0.3, unit_cost=15,
    ),
    Process(
        "Event", "Event", "lever", "marketing", 0.25, (Kind("event_attended", 1.0),), _NURTURED,
        effect=0.9, half_life_days=30, excites={"Direct": 0.2, "Referral": 0.1}, waves=0.8, lag_hours=70,
        unit_cost=18_000,
    ),
    Process(
        "Webinar", "Webinar", "lever", "marketing", 0.4, (Kind("webinar_registered", 1.0),), _NURTURED,
        effect=0.55, half_life_days=21, excites={"Direct": 0.15}, waves=0.6, lag_hours=6, unit_cost=2_200,
    ),
    Process(
        "Outbound Sales", "Outbound Sales", "lever", "crm", 0.7, (Kind("call", 0.85), Kind("meeting", 0.15, 0.4)),
        _SOLD_TO, effect=0.4, half_life_days=14, excites={"Direct": 0.1}, waves=0.1, lag_hours=8, unit_cost=2_500,
    ),
    Process(
        "Partner", "Partner", "lever", "crm", 0.2, (Kind("referral", 0.6), Kind("meeting", 0.4)), _NURTURED,
        effect=0.7, half_life_days=30, excites={"Referral": 0.2}, waves=0.2, lag_hours=30, unit_cost=6_000,
    ),
    Process(
        "Direct", "Direct", "response", "web", 1.7,
        (
            Kind("page_view", 0.62), Kind("pricing_view", 0.12, 0.5), Kind("content_download", 0.1, 0.2),
            Kind("form_fill", 0.07, 0.3), Kind("chat", 0.04, 0.3), Kind("demo_request", 0.03, 0.9),
            Kind("trial_start", 0.02, 0.8),
        ),
        _CURIOUS, half_life_days=5, excites={"Direct": 0.25, "Organic Search": 0.05},
    ),
    Process(
        "Organic Search", "Organic Search", "response", "web", 1.4,
        (
            Kind("page_view", 0.72), Kind("content_download", 0.15), Kind("pricing_view", 0.06, 0.4),
            Kind("form_fill", 0.07, 0.3),
        ),
        _CURIOUS, half_life_days=5, excites={"Direct": 0.25},
    ),
    Process(
        "Referral", "Referral", "response", "web", 0.4, (Kind("page_view", 0.8), Kind("form_fill", 0.2, 0.2)), _CURIOUS,
        half_life_days=5, excites={"Direct": 0.2},
    ),
    Process(
        "Review Site", "Review Site", "response", "web", 0.25, (Kind("review_visit", 1.0, 0.3),), _CURIOUS,
        lag_hours=36,
    ),
    Process("News", "Unassigned", "response", "crm", 0.2, (Kind("news", 1.0),), (1.0,) * 7, lag_hours=90),
    Process(
        "Product", "Direct", "service", "product", 4.5, (Kind("product_use", 1.0),), _SERVED,
        half_life_days=10, excites={"Product": 0.5},
    ),
    Process(
        "Support", "Direct", "service", "support", 2.2, (Kind("ticket_opened", 0.8), Kind("survey", 0.2)), _SERVED,
        half_life_days=10,
    ),
)  # fmt: skip

# Nothing follows Display and Content Syndication, so that their whole effect is nil, not only the direct one.
_FOLLOW_UPS = (
    FollowUp("demo_request", "Outbound Sales", "call", 0.9, 5),
    FollowUp("form_fill", "Outbound Sales", "call", 0.5, 18),
    FollowUp("chat", "Outbound Sales", "call", 0.35, 4),
    FollowUp("event_attended", "Outbound Sales", "call", 0.4, 60),
    FollowUp("webinar_attended", "Outbound Sales", "call", 0.3, 30),
    FollowUp("email_reply", "Outbound Sales", "call", 0.6, 12),
    FollowUp("call", "Outbound Sales", "meeting", 0.12, 90, pull=0.8),
    FollowUp("call", "Outbound Sales", "call", 0.2, 70, replies=False),
    FollowUp("webinar_registered", "Webinar", "webinar_attended", 0.5, 150, pull=0.3, replies=False),
    FollowUp("trial_start", "Product", "product_use", 0.9, 20, replies=False),
    FollowUp("ticket_opened", "Support", "ticket_closed", 0.93, 40),
)

_STEPS = {
    ("new", "lead"): Step("mql", -6.4, 1.0, fail=-7.2),
    ("new", "mql"): Step("bql", -3.9, 0.8, fail=-4.7),
    ("new", "bql"): Step("sql", -3.4, 0.8, fail=-4.6, back=0.002),
    ("new", "sql"): Step("deal", -3.4, 0.8, fail=-4.6, back=0.002),
    ("new", "deal"): Step("won", -5.3, 1.0, fail=-3.4),
    ("expansion", "lead"): Step("mql", -7.6, 0.6),
    ("expansion", "mql"): Step("sql", -3.5, 0.6, fail=-5.0),
    ("expansion", "sql"): Step("deal", -3.5, 0.6, fail=-5.0),
    ("expansion", "deal"): Step("won", -4.8, 0.8, fail=-3.8),
    ("renewal", "lead"): Step("deal", -3.0, 0.2),
    ("renewal", "deal"): Step("won", -3.8, 0.5, fail=-4.8),
}

_DEMO = Market(accounts=2_000, months=24, processes=_PROCESSES, follow_ups=_FOLLOW_UPS, steps=MappingProxyType(_STEPS))

PRESETS: Mapping[str, Market] = MappingProxyType(
    {"demo": _DEMO, "reference": replace(_DEMO, accounts=20_000, proxy=0.8)}
)
"""Markets by name. `demo` is a mid-sized vendor of software with mild confounding; `reference` is the same vendor with
ten times the accounts, and with a vendor of its own who tells it every month what it hears of their intent."""
