"""From the tables of an agreement file to checked records.

Defaults come from the documented file itself: the user's tables are laid over it before anything is read, so that every
value passes the same checks wherever it was written.
"""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from features.agreement import (
    DEFAULTS,
    RUNGS,
    Action,
    Agreement,
    Goal,
    Grades,
    Points,
    Sla,
    Snapshots,
    Split,
    Stages,
)
from features.attribution_reading import read_attribution
from features.errors import AgreementError, nearest
from features.own_features import read_feature
from features.schema import CONTENT_STAGES, DIRECTIONS, KINDS
from features.toml_section import Section, read_toml
from features.touch_types import TOUCH_TYPES, TouchType

_OPEN_TABLES = MappingProxyType(
    {
        "goals": (),
        "points": ("half_life_days",),
        "actions": (),
        "sla.marketing_promise": (),
        "sla.first_response_hours": (),
    }
)
"""Tables whose keys are names of the users' own: theirs replaces the default one, but for the keys given here."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def read_agreement(path: Path | None, training: Mapping[str, Any] | None = None) -> Agreement:
    """Read the agreement at `path`, over the defaults, and the tables of a training file over both.

    Raises
    ------
    AgreementError
        As `Agreement.load` says.
    """
    content = read_toml(DEFAULTS)
    if path is not None:
        content = _checked_over(content, path)
    if training is not None:
        only = Section(dict(training))
        only.section("snapshots")
        only.section("split")
        only.close()
        content = _over(content, dict(training))
    return _agreement(content)


def _checked_over(content: dict[str, Any], path: Path) -> dict[str, Any]:
    merged = _over(content, read_toml(path))
    try:
        _agreement(merged)
    except AgreementError as error:
        hint = error.hint or f"Compare with the comments in {DEFAULTS.name}."
        raise AgreementError(f"{path}: {error}", hint=hint) from error
    return merged


def _over(defaults: dict[str, Any], own: dict[str, Any], path: str = "") -> dict[str, Any]:
    merged = dict(defaults)
    for key, value in own.items():
        name = f"{path}.{key}" if path else key
        if not isinstance(value, dict) or not isinstance(defaults.get(key), dict):
            merged[key] = value
        elif name in _OPEN_TABLES:
            merged[key] = {fixed: defaults[key][fixed] for fixed in _OPEN_TABLES[name]} | value
        else:
            merged[key] = _over(defaults[key], value, name)
    return merged


def _agreement(content: dict[str, Any]) -> Agreement:
    top = Section(content)
    stages = _stages(top.section("stages"))
    snapshots = _snapshots(top.section("snapshots"))
    goals = {name: _goal(name, section, stages) for name, section in top.section("goals").named()}
    touch_types = dict(TOUCH_TYPES)
    for name, section in top.section("touch_types").named():
        touch_types[name] = _touch_type(name, section)
    agreement = Agreement(
        default_goal=top.text("default_goal", choices=tuple(goals)),
        stages=stages,
        goals=MappingProxyType(goals),
        snapshots=snapshots,
        split=_split(top.section("split"), snapshots),
        grades=_grades(top.section("grades")),
        points=_points(top.section("points"), touch_types),
        actions=MappingProxyType({name: _action(name, section) for name, section in top.section("actions").named()}),
        reporting_currency=_currency(top.section("money")),
        sla=_sla(top.section("sla"), stages, touch_types),
        attribution=read_attribution(top.section("attribution"), stages, touch_types),
        touch_types=MappingProxyType(touch_types),
        features=tuple(read_feature(name, section) for name, section in top.section("features").named()),
    )
    top.close()
    return agreement


def _stages(section: Section) -> Stages:
    order = section.texts("order")
    terminal = section.texts("terminal")
    implicit_first = section.text("implicit_first", choices=("", *order))
    section.close()
    if order[-1] != "won" or "deal" not in order:
        raise section.wrong("order", "must contain 'deal' and end with 'won', which both come from deals", list(order))
    if "lost" not in terminal:
        raise section.wrong("terminal", "must contain 'lost', which comes from deals", list(terminal))
    if both := [stage for stage in terminal if stage in order]:
        raise section.wrong("terminal", "may not name a stage of the order", both[0])
    return Stages(order, implicit_first, terminal)


def _goal(name: str, section: Section, stages: Stages) -> Goal:
    goal = Goal(
        name=name,
        kind=section.text("kind", choices=KINDS),
        from_=section.texts("from", choices=stages.order),
        reach=section.text("reach", choices=stages.order),
        within_days=section.whole("within_days"),
        rung=section.text("rung", "best", choices=RUNGS),
    )
    section.close()
    for stage in goal.from_:
        if stages.order.index(stage) >= stages.order.index(goal.reach):
            raise section.wrong("from", f"may only name stages before {goal.reach!r}", stage)
    return goal


def _touch_type(name: str, section: Section) -> TouchType:
    touch_type = TouchType(
        name=name,
        content_stage=section.text("content_stage", choices=("", *CONTENT_STAGES)) or None,
        direction=section.text("direction", choices=DIRECTIONS),
        plural=section.text("plural"),
        zh=section.text("zh"),
    )
    section.close()
    if not _NAME.fullmatch(touch_type.plural):
        raise section.wrong("plural", "must be lower-case letters, digits and underscores", touch_type.plural)
    return touch_type


def _snapshots(section: Section) -> Snapshots:
    snapshots = Snapshots(
        every=section.whole("every"),
        at=_times(section, "at"),
        tz=section.text("tz"),
        from_=section.day("from"),
        to=section.day("to"),
        event_share=_share_of_events(section, "event_share"),
    )
    section.close()
    try:
        zoneinfo.ZoneInfo(snapshots.tz)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        near = zoneinfo.available_timezones()
        raise section.wrong(
            "tz", "must be an IANA time zone such as 'Europe/Berlin'", snapshots.tz, near=near
        ) from None
    _in_order(section, "to", snapshots.from_, snapshots.to)
    return snapshots


def _split(section: Section, snapshots: Snapshots) -> Split:
    split = Split(
        kind=section.text("kind", choices=("time", "folds")),
        test_share=section.number("test_share", above=0),
        test_from=section.day("test_from"),
        test_to=section.day("test_to"),
        test_every=section.whole("test_every", snapshots.every),
        test_at=_times(section, "test_at", snapshots.at),
        test_event_share=_share_of_events(section, "test_event_share", snapshots.event_share),
        folds=section.whole("folds", least=2),
        fold=section.whole("fold", least=0),
    )
    section.close()
    if split.test_share >= 1:
        raise section.wrong("test_share", "must be less than 1", split.test_share)
    if split.fold >= split.folds:
        raise section.wrong("fold", f"must be less than folds, {split.folds}", split.fold)
    _in_order(section, "test_to", split.test_from, split.test_to)
    return split


def _grades(section: Section) -> Grades:
    grades = Grades(a=section.number("A", above=0), b=section.number("B", above=0), c=section.number("C", above=0))
    section.close()
    if not 1 > grades.a > grades.b > grades.c:
        raise section.wrong("A", "must be below 1 and above B, and B above C", [grades.a, grades.b, grades.c])
    return grades


def _points(section: Section, touch_types: Mapping[str, TouchType]) -> Points:
    half_life = section.number("half_life_days", above=0)
    return Points(half_life, _per_touch_type(section, touch_types))


def _action(name: str, section: Section) -> Action:
    action = Action(name, cost=section.number("cost"), capacity=section.whole("capacity", least=0))
    section.close()
    if action.cost < 0:
        raise section.wrong("cost", "must not be negative", action.cost)
    return action


def _currency(section: Section) -> str:
    currency = section.text("reporting_currency")
    section.close()
    if not re.fullmatch(r"[A-Z]{3}", currency):
        raise section.wrong("reporting_currency", "must be an ISO 4217 code such as 'EUR'", currency)
    return currency


def _sla(section: Section, stages: Stages, touch_types: Mapping[str, TouchType]) -> Sla:
    promised = section.section("marketing_promise")
    allowed = {f"{stage}_per_month": stage for stage in stages.order}
    promise: dict[str, float] = {}
    for key in promised.unread():
        if key not in allowed:
            raise AgreementError(
                f"Unknown key `{promised.name(key)}`.{nearest(key, allowed)} Allowed: {', '.join(allowed)}."
            )
        promise[allowed[key]] = promised.number(key, above=0)
    sla = Sla(
        marketing_promise=MappingProxyType(promise),
        first_response_hours=_per_touch_type(section.section("first_response_hours"), touch_types, above=0),
        attempts=section.whole("attempts"),
        feedback_days=section.number("feedback_days", above=0),
    )
    section.close()
    return sla


def _per_touch_type(
    section: Section, touch_types: Mapping[str, TouchType], above: float | None = None
) -> Mapping[str, float]:
    values: dict[str, float] = {}
    for key in section.unread():
        if key not in touch_types:
            raise AgreementError(
                f"`{section.name(key)}` is not a touch type.{nearest(key, touch_types)}",
                hint=f"Declare it in [touch_types.{key}], or use a built-in one: {', '.join(touch_types)}.",
            )
        values[key] = section.number(key, above=above)
    return MappingProxyType(values)


def _share_of_events(section: Section, key: str, *default: float) -> float:
    share = section.number(key, *default)
    if not 0 <= share < 1:
        raise section.wrong(key, "must be at least 0 and less than 1", share)
    return share


def _times(section: Section, key: str, default: tuple[dt.time, ...] = ()) -> tuple[dt.time, ...]:
    times = []
    for text in section.texts(key, tuple(f"{time:%H:%M}" for time in default)):
        if not re.fullmatch(r"\d\d:\d\d", text):
            raise section.wrong(key, "must be times of day such as '09:00'", text)
        try:
            times.append(dt.time.fromisoformat(text))
        except ValueError:
            raise section.wrong(key, "must be times of day such as '09:00'", text) from None
    return tuple(sorted(times))


def _in_order(section: Section, key: str, first: dt.date | None, end: dt.date | None) -> None:
    if first is not None and end is not None and end <= first:
        raise section.wrong(key, f"must be later than {first}", end)
