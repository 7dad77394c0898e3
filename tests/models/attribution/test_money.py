"""Costs beside credit, from the tables of a ledger: nothing that cost something is missed, no gap is a 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pytest

from benchmarks.simulated_ledger import ledger_tables
from features.agreement import Agreement
from features.schema import DAY, FOREVER, TABLES
from features.synthetic import PRESETS, simulate
from models.attribution.analysis import analyse
from models.attribution.caveats import of_names
from models.attribution.money import Money
from models.attribution.question import Question
from models.attribution.returns import Gap, Return

AGREEMENT = Agreement.load(None)
AS_OF = 20_778 * DAY
LINEAR = Question(models=("linear",), draws=20)


@pytest.fixture(scope="module")
def tables() -> dict[str, pa.Table]:
    found = ledger_tables(simulate(replace(PRESETS["demo"], accounts=250, months=18), 3, AS_OF))
    names = found["account_touches"].column_names
    touches = found["account_touches"].rename_columns(["known_at" if one == "known_from" else one for one in names])
    stands = pa.array([False] * touches.num_rows)
    return found | {"touchpoints": touches.drop_columns(["account_id"]).append_column("deleted", stands),
                    "spend": invoices(invoice("Event", 90_000))}  # fmt: skip


def invoice(channel: str, amount: int) -> dict[str, object]:
    """Return an invoice of the last month but for its last two days."""
    return {
        "channel": channel, "campaign": "c", "period_start": AS_OF - 30 * DAY, "period_end": AS_OF - 2 * DAY,
        "amount": amount, "currency": "EUR", "known_at": AS_OF - DAY, "known_until": FOREVER, "deleted": False,
    }  # fmt: skip


def invoices(*rows: dict[str, object]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), pa.schema([(one.name, one.type.arrow) for one in TABLES["spend"].stored]))


def asked(tables: dict[str, pa.Table], question: Question = LINEAR, agreement: Agreement = AGREEMENT) -> Money:
    found = analyse(tables, agreement, question, as_of=AS_OF, ledger_seq=7).money
    assert found is not None
    return found


def changed(tables: dict[str, pa.Table], table: str, column: str, values: Sequence[object]) -> dict[str, pa.Table]:
    rows = tables[table]
    place = rows.column_names.index(column)
    return {**tables, table: rows.set_column(place, column, pa.array(values, rows.schema.field(column).type))}


def of(found: Money, name: str) -> Return:
    return next(one for one in found.returns if one.name == name)


def test_revenue_that_nobody_recorded_is_a_gap_and_no_loss(tables: dict[str, pa.Table]) -> None:
    without = changed(tables, "deals", "amount", [None] * tables["deals"].num_rows)
    event = of(asked(without), "Event")
    assert (event.roas, event.losing) == (None, None)
    assert Gap.NO_AMOUNT in event.gaps
    assert of(asked(tables), "Event").roas is not None


def test_a_deal_of_a_currency_without_a_rate_is_no_loss_either(tables: dict[str, pa.Table]) -> None:
    foreign = changed(tables, "deals", "currency", ["XAF"] * tables["deals"].num_rows)
    event = of(asked(foreign), "Event")
    assert (event.roas, event.losing) == (None, None)
    assert Gap.OTHER_CURRENCY in event.gaps
    assert event.revenue["XAF"].value > 0


def test_a_won_deal_is_worth_the_average_of_those_whose_amount_is_known(tables: dict[str, pa.Table]) -> None:
    many = tables["deals"].num_rows
    in_euro = changed(tables, "deals", "currency", ["EUR"] * many)
    some = changed(in_euro, "deals", "amount", [1_000 if at % 2 else None for at in range(many)])
    assert asked(some).worth == 1_000


def test_the_cost_of_touches_of_nobody_counts(tables: dict[str, pa.Table]) -> None:
    touches = tables["touchpoints"]
    one = touches.slice(0, 1).to_pylist()[0] | {
        "channel": "Audio", "campaign": None, "cost": 700, "currency": "EUR", "occurred_at": AS_OF - DAY,
        "known_at": AS_OF - DAY,
    }  # fmt: skip
    more = pa.concat_tables([touches, pa.Table.from_pylist([one], touches.schema)])
    found = asked({**tables, "touchpoints": more})
    assert found.spent.by_channel["Audio"] == {"EUR": 700}
    assert "Audio" not in asked(tables).spent.by_channel


def test_a_lever_that_cost_something_and_touched_nobody_is_on_the_stop_list(tables: dict[str, pa.Table]) -> None:
    spend = invoices(invoice("Audio", 90_000))
    found = asked({**tables, "spend": spend}, Question(models=("incremental",), draws=20))
    audio = next(one for one in found.verdicts if one.channel == "Audio")
    assert (audio.cost, audio.losing, audio.brought.value) == (90_000, 1.0, 0.0)


def test_a_time_that_has_not_begun_has_no_costs(tables: dict[str, pa.Table]) -> None:
    later = replace(LINEAR, from_=AS_OF + 9 * DAY)
    assert analyse(tables, AGREEMENT, later, as_of=AS_OF, ledger_seq=7).money is None


def test_a_channel_that_the_agreement_misspells_is_told_with_the_nearest(tables: dict[str, pa.Table]) -> None:
    told = AGREEMENT.attribution
    agreement = replace(AGREEMENT, attribution=replace(told, levers=(*told.levers, "Paid Serach", "Zeppelin")))
    found = [(note.code, note.values["channel"]) for note in of_names(tables, agreement)]
    assert found == [("misspelt_channel", "Paid Serach"), ("unknown_channel", "Zeppelin")]
    assert next(of_names(tables, agreement)).text.endswith("Is Paid Search meant?")
    assert list(of_names(tables, AGREEMENT)) == []
