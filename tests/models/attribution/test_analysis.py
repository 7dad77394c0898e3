"""One analysis: every model side by side, the books, and what is said when something is missing."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.simulated_ledger import ledger_tables
from features.agreement import Agreement
from features.errors import RowError, UnknownError
from features.journeys import journeys_of
from features.schema import DAY
from features.synthetic import PRESETS, simulate
from models.attribution.analysis import MOST_PLAYERS, Analysis, analyse, analyse_journeys
from models.attribution.credit import FRAME_COLUMNS, Evidence
from models.attribution.incremental import LiftTest
from models.attribution.question import Question
from models.attribution.result import OTHERS

AGREEMENT = Agreement.load(None)
AS_OF = 20_778 * DAY
QUESTION = Question(draws=20)


@pytest.fixture(scope="module")
def tables() -> dict[str, pa.Table]:
    return ledger_tables(simulate(replace(PRESETS["demo"], accounts=250, months=18), 3, AS_OF))


@pytest.fixture(scope="module")
def whole(tables: dict[str, pa.Table]) -> Analysis:
    return analyse(tables, AGREEMENT, QUESTION, as_of=AS_OF, ledger_seq=7)


def plain(channels: list[str], sold: list[bool], **columns: list[str]) -> Analysis:
    """Return the analysis of accounts with one touch each, in these channels, some of which buy for 10.00."""
    account = [f"a-{number}" for number in range(len(channels))]
    at = pa.array([number * DAY for number in range(len(channels))], pa.int64())
    touches = pa.table({"account": account, "occurred_at": at, "channel": channels})
    won = [number for number, is_sold in enumerate(sold) if is_sold]
    conversions = {
        "account": pa.array([account[number] for number in won], pa.string()),
        "at": pa.array([number * DAY + 1 for number in won], pa.int64()),
        "revenue": pa.array([1_000] * len(won), pa.int64()),
        **{name: pa.array(values, pa.string()) for name, values in columns.items()},
    }
    return analyse_journeys(journeys_of(touches, pa.table(conversions)), AGREEMENT, QUESTION)


def codes(found: Analysis) -> set[str]:
    return {note.code for note in found.notes}


def test_the_books_agree_to_the_last_unit_for_every_model(whole: Analysis) -> None:
    books = whole.reconciliation
    assert books.is_balanced
    assert books.ledger is not None
    assert sum(count for count, _ in books.ledger.values()) > sum(count for count, _ in books.journeys.values()) > 20
    for model in books.credited:
        total = books.credited[model].get("EUR", 0) + books.rest[model].get("EUR", 0)
        assert total == books.journeys["EUR"][1], model


def test_books_that_lack_a_unit_do_not_agree(whole: Analysis) -> None:
    books = whole.reconciliation
    short = {**books.credited, "linear": {"EUR": books.credited["linear"]["EUR"] - 1}}
    assert not replace(books, credited=short).is_balanced
    assert not replace(books, left_out={}).is_balanced


def test_the_shares_of_a_model_make_one_and_lie_within_their_intervals(whole: Analysis) -> None:
    for one in whole.results:
        lines = (*one.lines, one.rest)
        assert sum(line.share.value for line in lines) == pytest.approx(1), one.model
        assert all(line.share.bounds[0] <= line.share.value <= line.share.bounds[1] for line in lines), one.model
        assert sum(line.revenue["EUR"].value for line in lines) == whole.reconciliation.journeys["EUR"][1], one.model


def test_rules_the_best_chain_shapley_and_the_incremental_model_answer(whole: Analysis) -> None:
    names = [one.model for one in whole.results]
    assert names[:2] == ["first", "last"]
    assert names[-3:] == ["shapley_sets", "shapley_rate", "incremental_by_stage"]
    assert sum(name.startswith("markov_") for name in names) == 2
    levers = {effect.channel for effect in whole.chosen.effects.rows} if whole.chosen.effects else set()
    assert "(baseline)" in levers
    assert "Direct" not in levers


def test_the_incremental_model_says_that_it_goes_stage_by_stage(whole: Analysis) -> None:
    stages = [note.values["stages"] for note in whole.notes if note.code == "by_stage"]
    assert len(stages) == 1 and str(stages[0]).endswith(", won")


def test_a_way_without_stages_is_one_passage() -> None:
    found = plain(["Email", "Event"] * 20, [number % 2 == 0 for number in range(40)])
    assert "by_stage" not in codes(found)
    assert "incremental_by_stage" not in [one.model for one in found.results]


def test_the_frame_holds_all_models(whole: Analysis) -> None:
    frame = whole.frame()
    assert tuple(frame.column_names) == FRAME_COLUMNS
    total = frame.group_by("model").aggregate([("credit", "sum")]).to_pydict()
    converted = whole.journeys.count[whole.journeys.converted].sum()
    assert total["credit_sum"] == pytest.approx([converted] * len(whole.results))


def test_the_same_question_has_the_same_answer_and_it_is_plain_json(
    tables: dict[str, pa.Table], whole: Analysis
) -> None:
    again = analyse(tables, AGREEMENT, QUESTION, as_of=AS_OF, ledger_seq=7)
    assert json.dumps(again.document(), allow_nan=False) == json.dumps(whole.document(), allow_nan=False)


def test_another_column_shares_the_same_conversions(tables: dict[str, pa.Table], whole: Analysis) -> None:
    asked = replace(QUESTION, by="content", models=("linear",))
    found = analyse(tables, AGREEMENT, asked, as_of=AS_OF, ledger_seq=7).results[0]
    total = sum(line.credit.value for line in (*found.lines, found.rest))
    assert total == pytest.approx(whole.journeys.converted.sum())
    assert len(found.lines) > 5


def test_two_parts_of_the_time_make_the_whole(tables: dict[str, pa.Table], whole: Analysis) -> None:
    middle = int(np.median(np.asarray(whole.journeys.journeys["ended_at"])[whole.journeys.converted]))
    parts = [
        analyse(
            tables, AGREEMENT, Question(models=("linear",), from_=first, to=last, draws=20), as_of=AS_OF, ledger_seq=7
        )
        for first, last in ((None, middle), (middle, None))
    ]
    assert all(part.reconciliation.is_balanced for part in parts)
    counts = [sum(count for count, _ in part.reconciliation.journeys.values()) for part in parts]
    assert min(counts) > 5
    assert sum(counts) == sum(count for count, _ in whole.reconciliation.journeys.values())


def test_credit_goes_to_teams(whole: Analysis) -> None:
    people = sorted({one for one in whole.journeys.touches["actor_id"].to_pylist() if one})
    asked = replace(QUESTION, by="team", models=("linear",), teams={people[0]: "North"})
    found = analyse_journeys(whole.journeys, AGREEMENT, asked)
    assert set(found.players.names) == {"North", "Unassigned"}
    assert found.results[0].lines[1].credit.value > 0


def test_one_channel_is_said_to_be_the_only_one() -> None:
    found = plain(["Email"] * 40, [number % 2 == 0 for number in range(40)])
    assert "one_player" in codes(found)
    assert found.results[0].lines[0].share.value == 1


def test_two_thousand_channels_are_shown_as_the_first_and_the_others() -> None:
    names = [f"channel {number}" for number in range(2_000)] * 2
    found = plain(names, [number % 3 == 0 for number in range(4_000)])
    assert found.players.names[MOST_PLAYERS:] == (OTHERS,)
    assert "many_players" in codes(found)
    for one in found.results:
        assert sum(line.credit.value for line in (*one.lines, one.rest)) == pytest.approx(
            found.journeys.converted.sum()
        )


def test_without_any_conversion_there_is_an_answer_that_says_so() -> None:
    found = plain(["Email", "Event"] * 5, [False] * 10)
    assert "nothing_converted" in codes(found)
    assert found.document()["size"]["converted"] == 0


def test_too_few_conversions_leave_the_incremental_model_out() -> None:
    found = plain(["Email", "Event"] * 10, [number < 6 for number in range(20)])
    assert {"few_conversions", "few_draws", "no_confounders"} <= codes(found)
    assert not any(one.model.startswith("incremental") for one in found.results)
    assert found.results


def test_without_levers_the_rest_answers(whole: Analysis) -> None:
    touches = whole.journeys.touches
    none = touches.set_column(touches.column_names.index("is_lever"), "is_lever", pa.array([False] * touches.num_rows))
    found = analyse_journeys(replace(whole.journeys, touches=none), AGREEMENT, QUESTION)
    assert "no_levers" in codes(found)
    assert [one.model for one in found.results][-1] == "shapley_rate"


def test_currencies_without_a_rate_stay_apart() -> None:
    found = plain(["Email", "Event"] * 20, [True] * 40, currency=["EUR", "USD"] * 20)
    assert {"currencies", "no_nulls"} <= codes(found)
    assert found.reconciliation.journeys == {"EUR": (20, 20_000), "USD": (20, 20_000)}
    linear = next(one for one in found.results if one.model == "linear")
    assert {line.player: line.revenue["EUR"].value for line in linear.lines} == {"Email": 20_000, "Event": 0}


@pytest.mark.parametrize(
    ("question", "nearest"),
    [(Question("wonn"), "won"), (Question(by="chanel"), "channel"), (Question(models=("markof_1",)), "markov_1")],
)
def test_an_unknown_name_suggests_the_nearest(question: Question, nearest: str) -> None:
    with pytest.raises(UnknownError, match=f"Did you mean '{nearest}'"):
        question.check(AGREEMENT)


def test_a_negative_amount_is_shown_where_the_books_differ(tables: dict[str, pa.Table]) -> None:
    deals = tables["deals"]
    amounts = deals["amount"].to_pylist()
    won = [at for at, outcome in enumerate(deals["outcome"].to_pylist()) if outcome == "won"]
    one = next(at for at in won if deals["kind"][at].as_py() == "new")
    amounts[one] = -500
    changed = deals.set_column(deals.column_names.index("amount"), "amount", pa.array(amounts, pa.int64()))
    asked = replace(QUESTION, models=("linear",))
    books = analyse({**tables, "deals": changed}, AGREEMENT, asked, as_of=AS_OF, ledger_seq=7).reconciliation
    assert books.left_out["negative_amount"]["EUR"][0] == 0
    assert books.left_out["negative_amount"]["EUR"][1] < 0
    assert books.is_balanced


def test_an_amount_below_0_is_known_and_one_that_lacks_is_not(tables: dict[str, pa.Table]) -> None:
    deals = tables["deals"]
    outcomes, kinds = deals["outcome"].to_pylist(), deals["kind"].to_pylist()
    first, second = [at for at, outcome in enumerate(outcomes) if outcome == "won" and kinds[at] == "new"][:2]
    amounts = deals["amount"].to_pylist()
    amounts[first], amounts[second] = -500, None
    changed = deals.set_column(deals.column_names.index("amount"), "amount", pa.array(amounts, pa.int64()))
    asked = replace(QUESTION, models=("linear",))
    found = analyse({**tables, "deals": changed}, AGREEMENT, asked, as_of=AS_OF, ledger_seq=7)
    assert [note.values["count"] for note in found.notes if note.code == "no_revenue"] == [1]


def test_attempts_to_prove_the_model_wrong_are_part_of_the_answer_when_asked_for(whole: Analysis) -> None:
    asked = replace(QUESTION, models=("incremental",), is_falsified=True)
    found = analyse_journeys(whole.journeys, AGREEMENT, asked)
    placebos = [one for one in found.document()["falsifications"] if one["kind"] == "placebo"]
    assert len(placebos) == 1
    levers = {effect.channel for effect in found.chosen.effects.rows} if found.chosen.effects else set()
    tried = {one.channel for one in found.falsifications} | {note.values.get("channel") for note in found.notes}
    assert levers - {"(baseline)"} <= tried
    assert whole.falsifications == ()


def test_a_lift_test_of_something_else_suggests_the_nearest_lever(whole: Analysis) -> None:
    asked = replace(QUESTION, lift_tests=(LiftTest("Evnt", 3, 1),))
    with pytest.raises(UnknownError, match="Did you mean 'Event'"):
        analyse_journeys(whole.journeys, AGREEMENT, asked)


def test_a_lift_test_moves_the_effects_and_what_the_stop_list_rests_on(whole: Analysis) -> None:
    asked = replace(QUESTION, models=("incremental",), lift_tests=(LiftTest("Event", 9, 0.01),))
    chosen = analyse_journeys(whole.journeys, AGREEMENT, asked).chosen
    assert chosen.effects is not None
    assert chosen.signed is not None
    event = chosen.effects["Event"]
    assert (event.evidence, chosen.effects["Email"].evidence) == (Evidence.EXPERIMENT, Evidence.ADJUSTED)
    assert chosen.signed.estimates()["Event"] == event.conversions
    before = analyse_journeys(whole.journeys, AGREEMENT, replace(asked, lift_tests=())).chosen.effects
    assert before is not None
    assert before["Event"].conversions != event.conversions


def test_a_lift_test_that_no_model_can_use_is_told(whole: Analysis) -> None:
    asked = replace(QUESTION, models=("linear",), lift_tests=(LiftTest("Event", 3, 1),))
    assert "unused_tests" in codes(analyse_journeys(whole.journeys, AGREEMENT, asked))


def test_few_conversions_make_the_intervals_of_rates_too_narrow_and_are_told(whole: Analysis) -> None:
    assert "narrow_rates" in codes(whole)
    linear = analyse_journeys(whole.journeys, AGREEMENT, replace(QUESTION, models=("linear",)))
    assert "narrow_rates" not in codes(linear)


def test_a_time_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(RowError, match="later than `from`"):
        Question(from_=5, to=5).check(AGREEMENT)


def test_times_that_are_assumed_are_told(tables: dict[str, pa.Table]) -> None:
    touches = tables["account_touches"]
    assumed = pa.array(["assumed"] * touches.num_rows)
    place = touches.column_names.index("known_at_origin")
    changed = {**tables, "account_touches": touches.set_column(place, "known_at_origin", assumed)}
    found = analyse(changed, AGREEMENT, replace(QUESTION, models=("linear",)), as_of=AS_OF, ledger_seq=7)
    assert "assumed_times" in codes(found)
