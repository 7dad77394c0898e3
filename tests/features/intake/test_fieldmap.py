from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from features.errors import FieldMapError, RowError
from features.intake.cells import CELL_KEYS
from features.intake.fieldmap import FieldMap
from features.intake.files import columns, read, recognise

MAPS = Path(__file__).parent / "maps"
BASE = """
known_at = "assumed"
[[rows]]
table = "touchpoints"
[rows.set]
source = "crm"
event_id = "{id:05d}"
occurred_at = "{when}"
account_id = "{company}"
touch_type = { column = "what", values = { Call = "call", Visit = "page_view" } }
"""
RECORD = {"id": "17", "when": "2026-11-28T13:00:00+01:00", "company": "a-1", "what": "Call"}
NOON = 1_795_867_200_000_000


@pytest.fixture
def mapped(tmp_path, parser):
    """Return a function that maps one record with a map given as text."""

    def function(text, record):
        path = tmp_path / "map.toml"
        path.write_text(text)
        return FieldMap.load(path).rows(parser)(record)

    return function


@pytest.mark.parametrize("path", sorted(MAPS.glob("wrong_*.toml")), ids=lambda path: path.stem)
def test_a_wrong_map_is_refused_in_the_words_of_its_first_line(path):
    with pytest.raises(FieldMapError) as caught:
        FieldMap.load(path)
    assert path.read_text().splitlines()[0].removeprefix("# ") in str(caught.value)
    assert path.name in str(caught.value)


def test_a_record_becomes_a_row_of_the_contract(mapped):
    [(table, row)] = mapped(BASE, RECORD)
    assert table == "touchpoints"
    assert {name: row[name] for name in ("source", "event_id", "occurred_at", "account_id", "touch_type")} == {
        "source": "crm",
        "event_id": "00017",
        "occurred_at": NOON,
        "account_id": "a-1",
        "touch_type": "call",
    }


@pytest.mark.parametrize(
    ("column", "value", "field", "words"),
    [
        ("when", "31/31/2026", "when", "31/31/2026"),
        ("when", "2026-11-28 13:00", "when", "[time] zone"),
        ("when", None, "when", "required"),
        ("what", "Coll", "what", "Did you mean 'Call'?"),
        ("id", "x17", "id", "whole number"),
        ("id", None, "id", "needs it"),
        ("company", "x" * 2000, "company", "1,000"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_column(mapped, column, value, field, words):
    with pytest.raises(RowError) as caught:
        mapped(BASE, RECORD | {column: value})
    assert caught.value.field == field
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("time", "value"),
    [
        ('zone = "Europe/Amsterdam"', "2026-11-28 13:00:00"),
        ('zone = "+08:00"', "2026-11-28T20:00"),
        ('zone = "UTC"', datetime(2026, 11, 28, 12)),  # noqa: DTZ001  # Parquet has times without a zone
        ('zone = "UTC"\nformat = "%d.%m.%Y %H:%M"', "28.11.2026 12:00"),
        ('format = "%d/%m/%Y %H:%M %z"', "28/11/2026 13:00 +0100"),
        ('format = "epoch_s"', "1795867200"),
        ('format = "epoch_s"', 1795867200.0),
        ('format = "epoch_ms"', 1795867200000),
        ('format = "epoch_us"', Decimal(NOON)),
    ],
)
def test_times_are_read_in_their_format_and_zone(mapped, time, value):
    [(_, row)] = mapped(_with_time(time), RECORD | {"when": value})
    assert row["occurred_at"] == NOON


def _with_time(time):
    first, rules = BASE.split("[[rows]]", 1)
    return f"{first}[time]\n{time}\n[[rows]]{rules}"


def test_a_date_alone_is_midnight_of_its_zone(mapped):
    [(_, row)] = mapped(_with_time('zone = "Asia/Shanghai"'), RECORD | {"when": date(2026, 11, 28)})
    assert row["occurred_at"] == NOON - 20 * 3_600_000_000


def test_money_is_multiplied_exactly(mapped):
    text = BASE + 'cost = { column = "cost", multiply = 100 }\ncurrency = "EUR"'
    for value in ("19.99", 19.99, Decimal("19.99")):
        [(_, row)] = mapped(text, RECORD | {"cost": value})
        assert row["cost"] == 1999
    for value in ("19,99", "19.995", "x", "NaN", True):
        with pytest.raises(RowError) as caught:
            mapped(text, RECORD | {"cost": value})
        assert (caught.value.field, caught.value.code) == ("cost", "money")


def test_properties_are_an_object_of_cells(mapped):
    [(_, row)] = mapped(
        BASE + 'properties = { pages = "{pages}", from = "the {site}" }', RECORD | {"pages": 3, "site": "x"}
    )
    assert row["properties"] == '{"from":"the x","pages":3}'


def test_a_value_without_translation_takes_what_is_said_otherwise(mapped):
    text = BASE + 'channel = { column = "via", values = { mail = "Email" }, otherwise = "Unassigned" }'
    assert mapped(text, RECORD | {"via": "mail"})[0][1]["channel"] == "Email"
    assert mapped(text, RECORD | {"via": "pigeon"})[0][1]["channel"] == "Unassigned"


def test_known_at_comes_from_its_column(mapped):
    text = BASE.replace('"assumed"', '"{loaded}"')
    [(_, row)] = mapped(text, RECORD | {"loaded": "2026-11-29T12:00:00Z"})
    assert row["known_at"] == NOON + 86_400_000_000


ATTRIBUTES = """
known_at = "assumed"
[[rows]]
table = "accounts"
set = { account_id = "{id}", created_at = "{when}" }
"""


def test_attributes_hold_from_their_time_or_from_the_creation_of_the_account(mapped):
    text = ATTRIBUTES + (
        '[rows.attributes.size]\ncolumn = "size"\nstatic = true\n'
        '[rows.attributes.quality]\ncolumn = "quality"\nat = "{rated}"\nwritten_by = "sales"\n'
        '[rows.attributes.source]\ncolumn = "source"\nwritten_by = "form"\n'
    )
    record = {"id": "a", "when": "2026-11-28T12:00:00Z", "size": 20, "quality": "high", "source": None}
    rows = mapped(text, record | {"rated": "2026-11-29T12:00:00Z"})
    facts = {row["field"]: row for table, row in rows if table == "attributes"}
    assert set(facts) == {"size", "quality"}
    assert (facts["size"]["value"], facts["size"]["occurred_at"]) == ("20", NOON)
    assert (facts["quality"]["set_by"], facts["quality"]["occurred_at"]) == ("sales", NOON + 86_400_000_000)


def test_a_dated_attribute_without_its_date_is_refused(mapped):
    text = ATTRIBUTES + '[rows.attributes.quality]\ncolumn = "quality"\nat = "{rated}"\nwritten_by = "sales"\n'
    with pytest.raises(RowError, match="no time from which it holds") as caught:
        mapped(text, {"id": "a", "when": "2026-11-28T12:00:00Z", "quality": "high", "rated": None})
    assert caught.value.field == "rated"


RULES = """
known_at = "assumed"
unmatched = "reject"
[defaults.stage_changes]
account_id = "{id}"
occurred_at = "{when}"
[[rows]]
when = { what = "A*", state = ["DONE", ""] }
table = "stage_changes"
set = { stage = "mql" }
[[rows]]
when = { what = "AB" }
table = "stage_changes"
set = { stage = "sql" }
[[rows]]
when = { what = "X" }
ignore = true
"""


@pytest.mark.parametrize(
    ("what", "state", "stages"),
    [("A1", "DONE", ["mql"]), ("A1", None, ["mql"]), ("AB", "DONE", ["mql", "sql"]), ("AB", "OPEN", ["sql"])],
)
def test_every_rule_that_selects_a_row_makes_a_row(mapped, what, state, stages):
    rows = mapped(RULES, {"id": "a", "when": "2026-11-28T12:00:00Z", "what": what, "state": state})
    assert [row["stage"] for _, row in rows] == stages


def test_rows_are_ignored_or_rejected_as_the_map_says(mapped):
    record = {"id": "a", "when": "2026-11-28T12:00:00Z", "what": "X", "state": "DONE"}
    assert mapped(RULES, record) is None
    with pytest.raises(RowError, match="what = 'B', state = 'DONE'") as caught:
        mapped(RULES, record | {"what": "B"})
    assert caught.value.code == "unmatched"
    assert mapped(RULES.replace('"reject"', '"ignore"'), record | {"what": "B"}) is None


def test_a_map_that_names_a_missing_column_suggests_the_nearest(tmp_path):
    path = tmp_path / "map.toml"
    path.write_text(BASE)
    with pytest.raises(FieldMapError, match=r"rows\[1\].set.account_id names the column 'company'.*mean 'compny'"):
        FieldMap.load(path).fit(["id", "when", "compny", "what"], "touches.csv")


def test_an_optional_column_may_be_missing(tmp_path):
    path = tmp_path / "map.toml"
    path.write_text(BASE.replace("[[rows]]", '[file]\noptional = ["company"]\n[[rows]]'))
    FieldMap.load(path).fit(["id", "when", "what"], "touches.csv")


def test_the_example_map_fits_its_file(examples, parser):
    field_map = FieldMap.load(examples / "touches.toml")
    source = recognise(examples / "touches.csv", delimiter=field_map.delimiter)
    field_map.fit(columns(source), "touches.csv")
    mapped = field_map.rows(parser)
    rows = [mapped(record) for record in next(read(source)).records]
    assert [None if row is None else len(row) for row in rows] == [6, 6, 3, 6, None, 6]
    fair = dict(rows[2] or [])["touchpoints"]
    assert (fair["cost"], fair["currency"], fair["channel"]) == (1250, "EUR", "Event")
    assert "@" not in str(rows)


def test_the_map_in_the_documentation_is_a_map(root, tmp_path):
    _, block, *_ = (root / "docs" / "field-maps.md").read_text().split("```toml\n")
    (tmp_path / "map.toml").write_text(block.split("```")[0])
    field_map = FieldMap.load(tmp_path / "map.toml")
    assert (field_map.delimiter, field_map.optional) == (";", ("Remark",))


def test_every_key_of_a_cell_is_documented(root):
    text = (root / "docs" / "field-maps.md").read_text()
    assert [key for key in CELL_KEYS if f"`{key}`" not in text] == []
