import gzip
import json
import shutil

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from features.errors import FieldMapError, FileError
from features.identity import email_hash
from features.intake.fieldmap import FieldMap
from features.intake.ingest import ingest
from features.intake.jobs import plan
from features.intake.retry import retry
from features.ledger import Ledger
from smarketing import app

TOUCHES = """id,when,company,person,what
1,2026-11-01T09:00:00Z,a-1,jane@x.example,Visit
2,2026-11-02T09:00:00Z,a-1,jane@x.example,Call
3,31/31/2026,a-2,jane@x.example,Visit
4,2026-11-03T09:00:00Z,a-2,,Pigeon
5,2026-11-04T09:00:00Z
6,2026-11-05T09:00:00Z,a-2,,Visit
"""
MAP = """
known_at = "assumed"
[[rows]]
table = "touchpoints"
[rows.set]
source = "crm"
event_id = "{id:05d}"
occurred_at = "{when}"
account_id = "{company}"
email = "{person}"
touch_type = { column = "what", values = { Call = "call", Visit = "page_view" } }
"""


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(str(tmp_path / "market.db")) as opened:
        yield opened


@pytest.fixture
def touches(tmp_path):
    (tmp_path / "touches.csv").write_text(TOUCHES)
    return tmp_path / "touches.csv"


@pytest.fixture
def field_map(tmp_path):
    (tmp_path / "map.toml").write_text(MAP)
    return tmp_path / "map.toml"


def send(ledger, parser, path, field_map=None):
    jobs, _ = plan([path], field_map)
    return ingest(ledger, parser, jobs)


def counts(summary):
    return (summary.rows, summary.accepted, summary.duplicates, summary.rejected)


def test_good_rows_and_dead_letters_go_in_together(ledger, parser, touches, field_map):
    summary = send(ledger, parser, touches, field_map)
    assert counts(summary) == (6, 3, 0, 3)
    assert summary.stub_accounts == 2
    letters = {stored.letter.row_number: stored.letter for stored in ledger.dead_letters()}
    assert {number: (letter.field, letter.code) for number, letter in letters.items()} == {
        3: ("when", "time"),
        4: ("what", "choice"),
        5: ("", "record"),
    }
    assert (letters[3].value, letters[3].batch) == ("31/31/2026", "touches.csv")
    assert "line 6" in letters[5].reason


def test_a_very_long_cell_is_one_dead_letter_and_the_rows_behind_it_go_in(ledger, parser, touches, field_map):
    touches.write_text(TOUCHES.replace("2,2026-11-02T09:00:00Z,a-1", f"2,2026-11-02T09:00:00Z,{'a' * 200_000}"))
    assert counts(send(ledger, parser, touches, field_map)) == (6, 2, 0, 4)
    letters = {stored.letter.row_number: stored.letter for stored in ledger.dead_letters()}
    assert (letters[2].field, letters[2].code) == ("company", "length")
    assert "200,000" in letters[2].reason


def test_a_time_that_is_yet_to_come_is_a_dead_letter(ledger, parser, touches, field_map):
    touches.write_text(TOUCHES.replace("2,2026-11-02", "2,2062-11-02"))
    assert counts(send(ledger, parser, touches, field_map)) == (6, 2, 0, 4)
    letters = {stored.letter.row_number: stored.letter for stored in ledger.dead_letters()}
    assert letters[2].code == "future"
    assert "2062-11-02T09:00:00Z" in letters[2].reason


def test_no_address_is_kept_in_a_dead_letter(ledger, parser, touches, field_map):
    send(ledger, parser, touches, field_map)
    assert not any("x.example" in str(stored) for stored in ledger.dead_letters())


def test_the_same_file_twice_changes_nothing(ledger, parser, touches, field_map):
    send(ledger, parser, touches, field_map)
    before, letters = ledger.head().ledger_seq, ledger.dead_letters()
    assert counts(send(ledger, parser, touches, field_map)) == (6, 0, 3, 3)
    assert ledger.head().ledger_seq == before
    assert ledger.dead_letters() == letters


def test_dead_letters_go_in_once_the_map_is_mended(ledger, parser, touches, field_map, tmp_path):
    send(ledger, parser, touches, field_map)
    mended = tmp_path / "mended.toml"
    mended.write_text(MAP.replace("Call =", 'Pigeon = "news", Call ='))
    done = retry(ledger, parser, FieldMap.load(mended))
    assert (done.tried, done.resolved, done.still_rejected, done.summary.accepted) == (3, 1, 2, 1)
    assert sorted(stored.letter.row_number for stored in ledger.dead_letters()) == [3, 5]
    assert "news" in ledger.export("touchpoints")["touch_type"].to_pylist()


def test_the_hash_in_a_dead_letter_is_the_hash_of_the_person(ledger, parser, touches, field_map, tmp_path):
    touches.write_text("id,when,company,person,what\n1,2026-11-01T09:00:00Z,a-1,jane@x.example,Pigeon\n")
    send(ledger, parser, touches, field_map)
    mended = tmp_path / "mended.toml"
    mended.write_text(MAP.replace("Call =", 'Pigeon = "news", Call ='))
    retry(ledger, parser, FieldMap.load(mended))
    assert ledger.export("touchpoints")["email_hash"].to_pylist() == [email_hash(b"a key for tests", "jane@x.example")]


def test_letters_of_a_mapped_file_wait_for_a_map(ledger, parser, touches, field_map):
    send(ledger, parser, touches, field_map)
    done = retry(ledger, parser, None)
    assert (done.tried, done.need_map) == (0, 3)


def test_the_map_of_another_file_leaves_letters_alone_unless_they_are_named(
    ledger, parser, touches, field_map, tmp_path
):
    touches.write_text(TOUCHES.replace("5,2026-11-04T09:00:00Z\n", ""))
    send(ledger, parser, touches, field_map)
    other = tmp_path / "other.toml"
    other.write_text('unmatched = "ignore"\n' + MAP.replace("[rows.set]", 'when = { kind = "Call" }\n[rows.set]'))
    done = retry(ledger, parser, FieldMap.load(other))
    assert (done.tried, done.need_map, len(ledger.dead_letters())) == (0, 2, 2)
    done = retry(ledger, parser, FieldMap.load(other), ["touches.csv"])
    assert (done.resolved, done.summary.ignored) == (2, 2)


def test_a_row_the_ledger_refuses_is_a_dead_letter_too(ledger, parser, touches, field_map):
    field_map.write_text(MAP.replace('"assumed"', '"now"'))
    touches.write_text("id,when,company,person,what\n1,2199-01-01T00:00:00Z,a-1,,Visit\n")
    summary = send(ledger, parser, touches, field_map)
    [stored] = ledger.dead_letters()
    assert summary.rejected == 1
    assert (stored.letter.row_number, stored.letter.code) == (1, "future")


def test_a_half_written_gzip_leaves_the_ledger_as_it_was(ledger, parser, tmp_path, field_map):
    rows = "".join(f"{i},2026-11-01T09:00:00Z,a-{i},,Visit\n" for i in range(20_000))
    path = tmp_path / "touches.csv.gz"
    path.write_bytes(gzip.compress(("id,when,company,person,what\n" + rows).encode())[:-2000])
    before = ledger.head()
    with pytest.raises(FileError, match="Nothing of it was taken in"):
        send(ledger, parser, path, field_map)
    assert ledger.head() == before


def test_a_map_that_names_a_missing_column_is_refused_at_once(ledger, parser, touches, field_map):
    field_map.write_text(MAP.replace("{company}", "{compani}"))
    with pytest.raises(FieldMapError, match="Did you mean 'company'"):
        send(ledger, parser, touches, field_map)
    assert ledger.dead_letters() == []


def test_a_file_that_does_not_fit_keeps_those_beside_it_out_too(ledger, parser, touches, field_map, tmp_path):
    (tmp_path / "other.csv").write_text("id,when\n1,2026-11-01T09:00:00Z\n")
    jobs, _ = plan([touches, tmp_path / "other.csv"], field_map)
    with pytest.raises(FieldMapError, match="'company'"):
        ingest(ledger, parser, jobs)
    assert ledger.head().ledger_seq == 0


@pytest.fixture(scope="module")
def market():
    """Return a small market in the contract's own columns."""
    day = 86_400_000_000
    start = 1_790_000_000_000_000
    touches = [
        {
            "source": "web", "event_id": f"e-{i:03d}", "occurred_at": start + i * day, "known_at": start + i * day + i,
            "account_id": f"a-{i % 5}", "contact_id": f"c-{i % 7}",
            "touch_type": "call", "cost": 100 * i, "currency": "EUR",
            "channel": "Outbound Sales", "content_stage": "mofu", "direction": "outbound",
            "properties": json.dumps({"i": i}, separators=(",", ":")), "revision": 1, "deleted": False,
        }
        for i in range(50)
    ]  # fmt: skip
    return {
        "accounts": [{"account_id": f"a-{i}", "name": f"Company {i}", "created_at": start} for i in range(5)],
        "touchpoints": touches,
        "fx_rates": [{"currency": "USD", "date": start, "rate": 0.9}],
        "deals": [
            {
                "deal_id": "d-1", "occurred_at": start + day, "account_id": "a-1", "cycle_id": "a-1:new:1",
                "kind": "new", "outcome": "open",
                "amount": 10_000, "currency": "EUR", "known_at": start + day,
            }
        ],
    }  # fmt: skip


def write_csv(table, path):
    pacsv.write_csv(table, path)


def write_gz(table, path):
    write_csv(table, path.with_suffix(""))
    path.write_bytes(gzip.compress(path.with_suffix("").read_bytes()))
    path.with_suffix("").unlink()


def write_lines(table, path):
    path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))


WRITERS = {"csv": write_csv, "csv.gz": write_gz, "jsonl": write_lines, "parquet": pq.write_table}


def contents(ledger):
    return {
        name: ledger.export(name).drop_columns(["ledger_seq"]).to_pylist()
        for name in ("accounts", "touchpoints", "touch_links", "deals", "fx_rates")
    }


def test_every_format_gives_the_same_ledger(parser, market, tmp_path):
    seen = []
    for ending, write in WRITERS.items():
        folder = tmp_path / ending
        folder.mkdir()
        for name, rows in market.items():
            write(pa.Table.from_pylist(rows), folder / f"{name}.{ending}")
        with Ledger.open(str(tmp_path / f"{ending}.db")) as ledger:
            summary = send(ledger, parser, folder)
            assert (summary.rejected, summary.accepted, summary.stub_accounts) == (0, 57, 0)
            seen.append(contents(ledger))
    assert all(content == seen[0] for content in seen[1:])


def test_an_export_goes_in_again_and_comes_out_equal(parser, market, tmp_path):
    folder, exported = tmp_path / "first", tmp_path / "second"
    folder.mkdir()
    exported.mkdir()
    for name, rows in market.items():
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
    with Ledger.open(str(tmp_path / "first.db")) as ledger:
        send(ledger, parser, folder)
        first = contents(ledger)
        for name in market:
            pq.write_table(ledger.export(name), exported / f"{name}.parquet")
    with Ledger.open(str(tmp_path / "second.db")) as ledger:
        assert send(ledger, parser, exported).rejected == 0
        assert contents(ledger) == first


def test_a_table_with_a_column_that_is_not_its_own_is_refused(ledger, parser, tmp_path):
    (tmp_path / "deals.csv").write_text("deal_id,occurred_at,account_id,outcom\n")
    with pytest.raises(FieldMapError, match="Did you mean 'outcome'"):
        send(ledger, parser, tmp_path / "deals.csv")


def test_a_table_without_a_required_column_is_refused(ledger, parser, tmp_path):
    (tmp_path / "deals.csv").write_text("deal_id,occurred_at,account_id\n")
    with pytest.raises(FieldMapError, match="lacks the column 'outcome'"):
        send(ledger, parser, tmp_path / "deals.csv")


def test_a_file_of_another_name_asks_for_a_map(touches):
    with pytest.raises(FileError, match="Did you mean 'touchpoints'") as caught:
        plan([touches.rename(touches.with_name("touchpoint.csv"))], None)
    assert "--map" in caught.value.hint


def test_a_bad_value_in_our_own_table_is_a_dead_letter_that_can_be_tried_again(ledger, parser, tmp_path):
    header = "change_id,account_id,stage,occurred_at\n"
    (tmp_path / "stage_changes.csv").write_text(
        header + "1,a,mqql,1790000000000000\n2,a,mql,soon\n3,a,mql,1790000000000000\n"
    )
    assert counts(send(ledger, parser, tmp_path / "stage_changes.csv")) == (3, 1, 0, 2)
    done = retry(ledger, parser, None)
    assert (done.tried, done.resolved) == (2, 0)


class TestCommand:
    @pytest.fixture
    def run(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        return lambda *args: CliRunner().invoke(app, [str(arg) for arg in args])

    def test_it_prints_a_summary_and_a_warning(self, run, touches, field_map):
        result = run("ingest", touches, "--map", field_map)
        assert result.exit_code == 0
        assert [line.split()[-1] for line in result.stdout.splitlines()[:5]] == ["6", "3", "0", "0", "3"]
        assert "3 rows were set aside" in result.stderr
        assert "--retry-rejected" in result.stderr

    def test_it_prints_json(self, run, touches, field_map):
        result = run("ingest", touches, "--map", field_map, "--json")
        assert json.loads(result.stdout)["rejected"] == 3

    def test_a_dry_run_shows_ten_rows_and_makes_no_store(self, run, examples, tmp_path):
        result = run("ingest", examples / "touches.csv", "--map", examples / "touches.toml", "--dry-run")
        assert result.exit_code == 0
        assert "touch_type=page_view" in result.stdout
        assert "1 ignored, 0 rejected" in result.stderr
        assert list(tmp_path.glob("*.db")) == []

    def test_rejected_rows_are_tried_again(self, run, touches, field_map):
        run("ingest", touches, "--map", field_map)
        field_map.write_text(MAP.replace("Call =", 'Pigeon = "news", Call ='))
        result = run("ingest", "--retry-rejected", "--map", field_map)
        assert "3 rejected rows tried again: 1 went in, 2 stay rejected." in result.stdout

    def test_trying_again_makes_no_store(self, run, tmp_path):
        result = run("ingest", "--retry-rejected")
        assert (result.exit_code, list(tmp_path.glob("*.db*"))) == (3, [])
        assert "There is no store" in result.stderr

    @pytest.mark.parametrize("target", ["folder", "missing.csv", "empty.csv"])
    def test_what_can_not_be_read_is_failure_with_words(self, run, tmp_path, field_map, target):
        (tmp_path / "folder").mkdir()
        (tmp_path / "empty.csv").touch()
        result = run("ingest", tmp_path / target, "--map", field_map)
        assert result.exit_code == 1
        assert result.stderr.startswith("Error: ")
        assert target in result.stderr

    def test_the_summary_counts_what_is_left_alone(self, run, tmp_path):
        folder = tmp_path / "market"
        folder.mkdir()
        (folder / "accounts.csv").write_text("account_id\na-1\n")
        shutil.copy(folder / "accounts.csv", folder / "truth.csv")
        result = run("ingest", folder)
        assert "truth.csv" in result.stderr
        assert result.exit_code == 0
