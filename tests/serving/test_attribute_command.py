"""`smarketing attribute`: a table, a frame, a report in one file, and attempts to prove it wrong."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from features.console import ExitCode
from features.schema import DAY
from features.synthetic import PRESETS, simulate, write
from models.attribution.credit import FRAME_COLUMNS
from smarketing import app

QUICK = ("--draws", "20")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("attributed")
    write(simulate(replace(PRESETS["demo"], accounts=250, months=18), 3, 20_778 * DAY), folder / "tables")
    taken = CliRunner().invoke(app, ["--store", str(folder / "ledger.db"), "ingest", str(folder / "tables")])
    assert taken.exit_code == 0, taken.output
    return folder / "ledger.db"


def run(store: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["--store", str(store), "attribute", *arguments])


def test_a_table_shows_shares_with_intervals_and_whether_the_books_agree(store: Path) -> None:
    told = run(store, *QUICK)
    assert told.exit_code == 0, told.output
    assert re.search(r"^Outbound Sales +\d+\.\d% \(\d+\.\d% to \d+\.\d%\)", told.stdout, re.M)
    assert "The books agree to the last unit." in told.stdout
    assert "no touch, or anyway" in told.stdout
    assert re.search(r"^Left out: [\d,]+ touches without account", told.stdout, re.M)


def test_json_holds_the_whole_document_with_costs(store: Path) -> None:
    document = json.loads(run(store, *QUICK, "--json").stdout)
    assert document["reconciliation"]["isBalanced"]
    assert document["asOf"].endswith("Z")
    costs = {one["name"]: one for one in document["money"]["channels"]}
    assert costs["Direct"]["costMissing"]
    assert costs["Event"]["costPer"]["won"]["value"] > 0
    assert {one["channel"] for one in document["money"]["stopList"]} >= {"Event", "Webinar"}


def test_the_credit_of_every_touch_goes_into_a_file(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "credit.parquet"
    assert run(store, *QUICK, "--model", "linear", "--model", "incremental", "--out", str(out)).exit_code == 0
    frame = pq.read_table(out)
    assert tuple(frame.column_names) == FRAME_COLUMNS
    assert set(frame["model"].to_pylist()) == {"linear", "incremental"}
    assert "(baseline)" in set(frame["channel"].to_pylist())


def test_a_formula_in_a_csv_is_text(store: Path, tmp_path: Path) -> None:
    touch = {"source": "web", "event_id": "=1+1", "account_id": "A-000005", "occurred_at": "2024-01-01T00:00:00Z"}
    hostile = tmp_path / "touchpoints.csv"
    _write_rows(hostile, [touch | {"channel": "@SUM(A1)", "touch_type": "page_view", "direction": "inbound"}])
    ledger = tmp_path / "ledger.db"
    ledger.write_bytes(store.read_bytes())
    tables = tmp_path / "tables"
    tables.mkdir()
    hostile.rename(tables / "touchpoints.csv")
    out = tmp_path / "credit.csv"
    CliRunner().invoke(app, ["--store", str(ledger), "ingest", str(tables)])
    assert run(ledger, *QUICK, "--model", "linear", "--lookback-days", "0", "--out", str(out)).exit_code == 0
    cells = [cell for row in csv.reader(out.read_text(encoding="utf-8").splitlines()) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "@", "+"))]


def _write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.DictWriter(file, list(rows[0]))
        lines.writeheader()
        lines.writerows(rows)


@pytest.mark.parametrize(("language", "title"), [("en", "Do the books agree?"), ("zh", "账目是否一致？")])
def test_the_report_is_one_file_that_needs_nothing_else(store: Path, tmp_path: Path, language: str, title: str) -> None:
    report = tmp_path / "report.html"
    assert run(store, *QUICK, "--report", str(report), "--language", language).exit_code == 0
    text = report.read_text(encoding="utf-8")
    assert title in text
    assert '<svg class="sankey"' in text
    assert not re.search(r"<script[^>]+src=", text)
    shown = re.sub(r"<(script|style).*?</\1>", "", text, flags=re.S)
    assert not re.search(r"<(link|img)|(src|href)=", shown)
    assert not re.search(r"\b(because|None|nan)\b|_\d+d\b", shown)


def test_the_same_seed_gives_the_same_report(store: Path, tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        run(store, *QUICK, "--report", str(tmp_path / name))
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_teams_come_from_a_file(store: Path, tmp_path: Path) -> None:
    teams = tmp_path / "teams.csv"
    teams.write_text("actor_id,team\nrep-01,North\nrep-02,North\n", encoding="utf-8")
    told = run(store, *QUICK, "--by", "team", "--teams", str(teams), "--model", "linear", "--json")
    assert "North" in [one["name"] for one in json.loads(told.stdout)["players"]]
    assert run(store, "--by", "team").exit_code == ExitCode.USAGE


def test_attempts_to_prove_it_wrong_are_in_the_answer_when_asked_for(store: Path, tmp_path: Path) -> None:
    tests = tmp_path / "tests.csv"
    tests.write_text("channel,estimate,standard_error\nEvent,3,1\n")
    told = run(store, *QUICK, "--model", "incremental", "--falsify", "--lift-tests", str(tests), "--json")
    document = json.loads(told.stdout)
    assert {one["kind"] for one in document["falsifications"]} >= {"placebo"}
    assert document["liftTests"] == [{"channel": "Event", "estimate": 3, "standardError": 1}]


@pytest.mark.parametrize(
    ("row", "said"),
    [("Event,3", "line 2: estimate and standard_error must be numbers"), ("Event,3,0", "standard error above 0"),
     ("Evnt,3,1", "Did you mean 'Event'")],
)  # fmt: skip
def test_a_lift_test_that_can_not_be_is_refused(store: Path, tmp_path: Path, row: str, said: str) -> None:
    tests = tmp_path / "tests.csv"
    tests.write_text(f"channel,estimate,standard_error\n{row}\n")
    told = run(store, *QUICK, "--model", "linear", "--lift-tests", str(tests))
    assert told.exit_code in (ExitCode.FAILURE, ExitCode.NOT_FOUND)
    assert said in " ".join(told.stderr.split())


@pytest.mark.parametrize("check", ["placebo", "time-shift"])
def test_an_attempt_to_prove_it_wrong_says_what_follows(store: Path, check: str) -> None:
    told = json.loads(run(store, check, "Webinar", "--json").stdout)
    assert told["channel"] == "Webinar"
    assert told["effect"]["low"] <= told["effect"]["value"] <= told["effect"]["high"]
    assert told["passed"] == (told["effect"]["low"] <= 0 <= told["effect"]["high"])


@pytest.mark.parametrize(
    ("options", "nearest"),
    [
        (("--transition", "wonn"), "won"),
        (("--by", "chanel"), "channel"),
        (("--model", "linea"), "linear"),
        (("placebo", "Webinr"), "Webinar"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(store: Path, options: tuple[str, ...], nearest: str) -> None:
    told = run(store, *options)
    assert told.exit_code == ExitCode.NOT_FOUND
    assert f"Did you mean {nearest!r}?" in told.stderr


def test_an_empty_ledger_has_nothing_to_credit(tmp_path: Path) -> None:
    ledger = tmp_path / "empty.db"
    tables = tmp_path / "tables"
    tables.mkdir()
    _write_rows(tables / "accounts.csv", [{"account_id": "a-1", "name": "Acme", "created_at": "2026-01-01T00:00:00Z"}])
    CliRunner().invoke(app, ["--store", str(ledger), "ingest", str(tables)])
    report = tmp_path / "report.html"
    told = run(ledger, *QUICK, "--report", str(report))
    assert told.exit_code == 0, told.output
    assert "there is nothing to credit" in told.stdout
