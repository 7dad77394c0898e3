"""What every model of attribution promises, tried on each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings

from features.agreement import Agreement, CreditRule
from features.journeys import Journeys, journeys_of
from features.journeys.journeys import codes
from models.attribution.aggregate import UNKNOWN_CURRENCY, credit_by
from models.attribution.credit import FRAME_COLUMNS, AttributionModel, Credit, Evidence
from models.attribution.incremental import Incremental, StagedIncremental
from models.attribution.markov import Markov
from models.attribution.rules import rules
from models.attribution.shapley import ShapleyRate, ShapleySets
from tests.models.attribution.few import CHANNELS, JOURNEYS, LEVERS, Walk, channels, walked

OWN = CreditRule("own", first=0.3, last=0.3, lead=0.1, deal=0.1, middle=0.2, exclude=("Direct",))
ATTRIBUTION = replace(Agreement.load().attribution, models={"own": OWN})
Models = dict[str, Callable[[], AttributionModel]]
RULES: Models = {name: partial(rules(ATTRIBUTION).__getitem__, name) for name in rules(ATTRIBUTION)}
CLOSED: Models = {
    "markov_1": Markov,
    "markov_2": lambda: Markov(order=2),
    "markov_3": lambda: Markov(order=3),
    "markov_1_paths": lambda: Markov(per_journey=True),
    "shapley_sets": ShapleySets,
    "shapley_rate": ShapleyRate,
}
LEARNT: Models = {"incremental": Incremental, "incremental_by_stage": StagedIncremental}
MODELS = RULES | CLOSED | LEARNT
SINGLE = set(RULES) - {"own"} | {"markov_1_paths", "shapley_sets"}
"""Models that give a journey's only touch all of it."""

every_model = pytest.mark.parametrize("name", MODELS)
every_closed_form = pytest.mark.parametrize("name", RULES | CLOSED)
"""Models that need no more than a journey or two."""


def credited(name: str, journeys: Journeys) -> Credit:
    return MODELS[name]().fit(journeys).credit(journeys)


def by_channel(name: str, journeys: Journeys, figure: str = "conversions") -> dict[str, float]:
    found = credit_by(credited(name, journeys), ["channel"])
    return dict(zip(found["channel"].to_pylist(), found[figure].to_pylist(), strict=True))


def same(name: str, expected: dict[str, float]):
    """Return what equals figures: exactly but for rounding, or within the tolerance of a model's solver."""
    return pytest.approx(expected, rel=1e-5, abs=1e-6) if name in LEARNT else pytest.approx(expected, rel=1e-9)


def market(seed: int = 0, size: int = 150) -> Journeys:
    """Return journeys of every kind: lost ones, some without touches, some in another currency, ties, milestones.

    Nobody who met the channel Billboard converted.
    """
    random = np.random.default_rng(seed)
    walks = []
    for account in range(size):
        names = random.choice(np.array(CHANNELS, dtype=object), random.integers(0, 7)).tolist()
        won = bool(random.random() < 0.4)
        walks.append(
            Walk(
                [(name, int(day)) for name, day in zip(names, random.integers(0, 100, len(names)), strict=True)]
                + ([] if won else [("Billboard", 50)]),
                account=f"account {account % 120}",
                converted=won,
                revenue=int(random.integers(1, 1_000_000)),
                currency=("EUR", "EUR", "JPY")[account % 3],
                lead=int(random.integers(0, 60)) if random.random() < 0.8 else None,
                deal=int(random.integers(60, 100)) if random.random() < 0.8 else None,
            )
        )
    return walked(*walks)


def renamed(journeys: Journeys, names: dict[str, str]) -> Journeys:
    touches = journeys.touches
    channel = pa.array([names.get(one, one) for one in touches["channel"].to_pylist()], pa.string())
    return Journeys(
        journeys.transition, journeys.journeys,
        touches.set_column(touches.column_names.index("channel"), "channel", channel), journeys.offset,
    )  # fmt: skip


def with_column(journeys: Journeys, name: str, values: pa.ChunkedArray) -> Journeys:
    table = journeys.journeys
    return replace(journeys, journeys=table.set_column(table.column_names.index(name), name, values))


@every_model
def test_a_model_says_its_name_and_what_its_figures_rest_on(name):
    credit = credited(name, market())
    assert credit.model == MODELS[name]().name == name
    evidence = Evidence.RULE if name in RULES else Evidence.CORRELATIONAL
    assert credit.evidence is (Evidence.ADJUSTED if name in LEARNT else evidence)


@every_model
def test_the_frame_has_the_same_columns_and_types_for_every_model(name):
    frame = credited(name, market()).frame()
    assert tuple(frame.column_names) == FRAME_COLUMNS
    assert frame.schema == credited("first", market()).frame().schema


@every_model
def test_credit_is_never_negative_and_makes_the_conversions(name):
    journeys = market()
    credit = credited(name, journeys)
    assert min(credit.touch.min(), credit.rest.min()) >= 0
    made = credit.rest + np.bincount(journeys.of_touch, credit.touch, journeys.size)
    if credit.per_journey:
        assert made == pytest.approx(np.where(journeys.converted, 1.0, 0.0))
    assert made.sum() == pytest.approx(journeys.converted.sum())


def assert_conserved(name: str, journeys: Journeys) -> None:
    found = credit_by(credited(name, journeys), []).to_pylist()[0]
    earned = np.where(journeys.converted, journeys.revenue, 0)
    currencies, code = codes(journeys.journeys["currency"])
    for place, currency in enumerate(currencies):
        assert found.get(f"revenue_{currency or UNKNOWN_CURRENCY}", 0) == earned[code == place].sum()


@every_model
def test_revenue_is_conserved_to_the_last_unit(name):
    assert_conserved(name, market())


@every_closed_form
@settings(max_examples=25, deadline=None)
@given(journeys=JOURNEYS)
def test_revenue_of_any_size_is_conserved_to_the_last_unit_in_every_currency(name, journeys):
    assert_conserved(name, journeys)


@every_model
def test_the_order_of_rows_does_not_matter(name):
    journeys = market()
    shuffled = journeys.take(np.random.default_rng(1).permutation(journeys.size))
    for figure in ("conversions", "revenue_EUR"):
        assert by_channel(name, shuffled, figure) == same(name, by_channel(name, journeys, figure))


@every_model
def test_the_names_of_channels_do_not_matter(name):
    journeys = market()
    others = sorted({one for one in CHANNELS if one not in (None, "Direct")} | {"Billboard"})
    names = dict(zip(others, [f"Zz {place}" for place in reversed(range(len(others)))], strict=True))
    for figure in ("conversions", "revenue_EUR"):
        expected = {names.get(one, one): of for one, of in by_channel(name, journeys, figure).items()}
        assert by_channel(name, renamed(journeys, names), figure) == same(name, expected)


@every_model
def test_the_same_file_twice_gives_twice_the_credit(name):
    if name in LEARNT:
        pytest.skip("twice the data let it learn more")
    once = market()
    account = once.journeys["account_id"]
    others = with_column(once, "account_id", pc.binary_join_element_wise("again", account, " "))
    twice = Journeys(
        once.transition,
        pa.concat_tables([once.journeys, others.journeys]),
        pa.concat_tables([once.touches, once.touches]),
        np.concatenate([once.offset, once.offset[1:] + once.offset[-1]]),
    )
    doubled = {channel: 2 * of for channel, of in by_channel(name, once).items()}
    assert by_channel(name, twice) == pytest.approx(doubled, rel=1e-9)


@every_model
def test_the_scale_of_amounts_does_not_matter(name):
    journeys = market()
    larger = with_column(journeys, "revenue", pc.multiply(journeys.journeys["revenue"], 1_000))
    assert by_channel(name, larger) == pytest.approx(by_channel(name, journeys), rel=1e-12)
    for channel, revenue in by_channel(name, larger, "revenue_EUR").items():
        rounded = 1_000 * len(credited(name, journeys).rows.credit)
        assert revenue == pytest.approx(1_000 * by_channel(name, journeys, "revenue_EUR")[channel], abs=rounded)


@every_model
def test_a_channel_that_no_buyer_met_is_given_nothing(name):
    assert "Billboard" not in by_channel(name, market())


@every_closed_form
def test_a_touch_after_the_conversion_changes_nothing(name):
    way = [("a", 1, "Email"), ("a", 5, "Event"), ("b", 2, "Event"), ("c", 1, "Partner"), ("d", 1, "Email")]
    bought = pa.table({"account": ["a", "b", "d"], "at": [9, 9, 9], "revenue": [10, 20, 30]})

    def found(touches):
        columns = zip(("account", "occurred_at", "channel"), zip(*touches, strict=True), strict=True)
        return journeys_of(pa.table({key: list(column) for key, column in columns}), bought)

    late = found([*way, ("a", 10, "Billboard"), ("b", 10, "Email")])
    on_time = late.take(np.flatnonzero(late.converted | (late.account == 2)))
    expected = found(way)
    assert by_channel(name, on_time) == pytest.approx(by_channel(name, expected), rel=1e-9)
    assert "Billboard" not in by_channel(name, late)


@every_closed_form
def test_a_journey_without_touches_is_given_to_no_touch(name):
    journeys = walked(
        channels(revenue=70), channels("Email", account="b", revenue=30), channels("Event", converted=False)
    )
    assert by_channel(name, journeys, "revenue_EUR")["(no touch)"] == 70


@pytest.mark.parametrize("name", sorted(SINGLE))
def test_a_single_touch_is_given_the_whole_journey(name):
    journeys = walked(
        channels("Direct", revenue=11), channels("Email", account="b", revenue=7), channels("Event", converted=False)
    )
    assert credited(name, journeys).touch.tolist() == pytest.approx([1, 1, 0])


@every_closed_form
def test_one_channel_is_given_everything(name):
    journeys = walked(
        channels("Email", "Email", revenue=11),
        channels("Email", account="b", revenue=7),
        channels("Email", converted=False),
    )
    assert by_channel(name, journeys) == {"Email": pytest.approx(2)}


@every_closed_form
def test_two_thousand_channels_are_given_what_they_made(name):
    if name in ("markov_2", "markov_3"):
        pytest.skip("higher orders take hundreds of channels, and say so")
    walks = [
        channels(f"{number}", f"{(7 * number) % 2_000}", account=f"{number}", revenue=100, converted=number % 2 == 0)
        for number in range(2_000)
    ]
    assert sum(by_channel(name, walked(*walks)).values()) == pytest.approx(1_000)


@every_closed_form
def test_touches_at_the_same_microsecond_are_shared_the_same_way_each_time(name):
    journeys = walked(
        Walk([(one, 5) for one in LEVERS], revenue=10, lead=5, deal=5), Walk([("Email", 5)], converted=False)
    )
    assert credited(name, journeys).frame() == credited(name, journeys).frame()


@every_closed_form
def test_what_is_still_open_is_given_nothing(name):
    journeys = walked(channels("Email", "Event", revenue=5), channels("Partner", account="b", converted=False))
    still_open = with_column(journeys, "censored", pa.array([False, True]))
    assert "Partner" not in by_channel(name, still_open)


@every_closed_form
def test_where_nobody_converted_there_is_nothing_to_share(name):
    assert credited(name, walked(channels("Email", converted=False))).frame().num_rows == 0
