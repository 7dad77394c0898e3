"""The shipped map on the real log: counts are those of the log's own documentation."""

from collections import Counter

import pytest

from features.intake.fieldmap import FieldMap
from features.intake.files import columns, read, recognise


@pytest.fixture(scope="module")
def mapped(bpic2012, examples, parser):
    """Return the counts of mapped rows, those ignored, and each account's deals."""
    field_map = FieldMap.load(examples / "bpic2012.toml")
    source = recognise(bpic2012)
    field_map.fit(columns(source), bpic2012.name)
    rows_of = field_map.rows(parser)
    made: Counter[tuple[str, ...]] = Counter()
    outcomes: dict[str, str] = {}
    ignored = 0
    for chunk in read(source):
        for record in chunk.records:
            rows = rows_of(record)
            if rows is None:
                ignored += 1
                continue
            for table, row in rows:
                made[(table, *(str(row[name]) for name in _TOLD[table]))] += 1
                if table == "deals" and row["outcome"] != "open":
                    outcomes[str(row["account_id"])] = str(row["loss_reason"] or "approved")
    return made, ignored, Counter(outcomes.values())


_TOLD = {
    "accounts": (),
    "attributes": ("field", "set_by"),
    "stage_changes": ("stage", "kind"),
    "deals": ("outcome", "currency"),
    "touchpoints": ("touch_type", "channel", "direction", "content_stage"),
}


def test_outcomes_are_those_of_the_log(mapped):
    made, _, outcomes = mapped
    assert outcomes == {"approved": 2246, "declined": 7635, "cancelled": 2807}
    assert made["accounts",] - outcomes.total() == 399


def test_every_row_is_mapped_or_counted_as_ignored(mapped):
    made, ignored, _ = mapped
    assert ignored == 4492
    facts = sum(rows for (table, *_), rows in made.items() if table in ("stage_changes", "deals", "touchpoints"))
    assert facts + ignored == 262_200


def test_applications_become_accounts_attributes_stages_and_deals(mapped):
    made, _, _ = mapped
    assert {key: rows for key, rows in made.items() if key[0] != "touchpoints"} == {
        ("accounts",): 13_087,
        ("attributes", "amount_requested", "applicant"): 13_087,
        ("stage_changes", "lead", "new"): 13_087,
        ("stage_changes", "mql", "new"): 13_087,
        ("stage_changes", "bql", "new"): 7_367,
        ("stage_changes", "sql", "new"): 5_113,
        ("deals", "open", "EUR"): 5_015,
        ("deals", "won", "EUR"): 2_246,
        ("deals", "lost", "EUR"): 10_442,
    }


def test_offers_and_work_become_touches(mapped):
    made, _, _ = mapped
    touches = {key[1:]: rows for key, rows in made.items() if key[0] == "touchpoints"}
    assert sum(rows for key, rows in touches.items() if key[0] == "task_scheduled") == 26_318
    assert sum(rows for key, rows in touches.items() if key[0] == "task_completed") == 72_413 + 2 * 7_030
    assert {key: rows for key, rows in touches.items() if not key[0].startswith("task_")} == {
        ("call", "Outbound Sales", "outbound", "tofu"): 5_897,
        ("call", "Outbound Sales", "outbound", "mofu"): 23_512,
        ("call", "Outbound Sales", "outbound", "bofu"): 22_406 + 11_400,
        ("assessment", "Back Office", "internal", "bofu"): 7_891 + 270,
        ("quote_sent", "Offline", "outbound", "bofu"): 7_030,
        ("quote_returned", "Offline", "inbound", "bofu"): 3_454,
        ("quote_accepted", "Offline", "inbound", "bofu"): 2_243,
        ("quote_withdrawn", "Back Office", "internal", "bofu"): 3_655,
        ("quote_declined", "Back Office", "internal", "bofu"): 802,
    }
