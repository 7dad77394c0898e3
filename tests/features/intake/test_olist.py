"""The shipped map on the real files of leads and deals, which meet in the ledger by their account."""

import pyarrow.compute as pc
import pytest

from features.agreement import Agreement
from features.intake.ingest import ingest
from features.intake.jobs import plan
from features.intake.rows import RowParser
from features.ledger import Ledger


@pytest.fixture(scope="module")
def taken_in(root, examples, tmp_path_factory):
    """Return the ledger of both files and the counts of their intake."""
    folder = root.parent / "shared" / "data" / "olist"
    if not folder.exists():
        pytest.skip("The marketing funnel of Olist is not here: two CSV files of Kaggle, in ../shared/data/olist")
    jobs, _ = plan(sorted(folder.glob("*.csv")), examples / "olist.toml")
    with Ledger.open(tmp_path_factory.mktemp("olist") / "olist.db") as ledger:
        parser = RowParser(Agreement.load(examples / "olist.agreement.toml"), ledger.email_key())
        yield ledger, ingest(ledger, parser, jobs)


def test_every_row_goes_in(taken_in):
    _, summary = taken_in
    assert (summary.rows, summary.rejected, summary.ignored, summary.unattached) == (8_842, 0, 0, 0)


def test_leads_are_accounts_with_a_stage_and_a_form_by_channel_of_origin(taken_in):
    ledger, _ = taken_in
    touches = ledger.export("touchpoints")
    by_channel = {row["values"].as_py(): row["counts"].as_py() for row in pc.value_counts(touches["channel"])}
    assert ledger.export("accounts").num_rows == ledger.export("stage_changes").num_rows == 8_000
    assert by_channel["Unassigned"] == 60 + 1_099
    assert (by_channel["Organic Search"], by_channel["Direct"], len(by_channel)) == (2_296, 499, 10)


def test_a_revenue_of_0_is_missing_and_the_others_keep_their_total(taken_in):
    ledger, _ = taken_in
    deals = ledger.export("deals")
    assert (deals.num_rows, deals["amount"].null_count) == (842, 797)
    assert pc.min(deals["amount"]).as_py() > 0
    assert set(deals["currency"].to_pylist()) == {"BRL", None}


def test_times_are_those_of_sao_paulo_and_the_facts_hold_from_the_day_the_deal_was_won(taken_in):
    ledger, _ = taken_in
    won = {row["deal_id"]: row["occurred_at"] for row in ledger.export("deals").to_pylist()}
    assert won["5420aad7fec3549a85876ba1c529bd84"] == 1_519_685_880_000_000  # 2018-02-26T19:58-03:00
    facts = ledger.export("attributes").to_pylist()
    assert {row["set_by"] for row in facts} == {"sales"}
    assert all(row["occurred_at"] == won[row["id"]] for row in facts)


def test_the_deal_won_before_its_first_contact_is_kept(taken_in):
    ledger, _ = taken_in
    first = {row["account_id"]: row["occurred_at"] for row in ledger.export("touchpoints").to_pylist()}
    assert sum(row["occurred_at"] < first[row["account_id"]] for row in ledger.export("deals").to_pylist()) == 1
