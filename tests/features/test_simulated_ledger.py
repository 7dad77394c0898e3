"""The tables that benchmarks work on without intake are those that the ledger gives after it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from benchmarks.simulated_ledger import ledger_tables
from features.ledger import Ledger
from features.schema import DAY
from features.synthetic import PRESETS, simulate, write
from smarketing import app

# Numbers in the order of arrival, and marks of content, which no evaluator reads.
_OWN = {"ledger_seq", "digest"}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, pa.Table], dict[str, pa.Table]]:
    folder: Path = tmp_path_factory.mktemp("market")
    simulation = simulate(replace(PRESETS["reference"], accounts=120, months=8), 3, 20_778 * DAY)
    write(simulation, folder / "tables")
    taken = CliRunner().invoke(app, ["--store", str(folder / "ledger.db"), "ingest", str(folder / "tables")])
    assert taken.exit_code == 0, taken.output
    with Ledger.open(folder / "ledger.db") as ledger:
        return dict(ledger.tables()), ledger_tables(simulation)


@pytest.mark.parametrize("name", ["account_touches", "deals", "stage_changes", "attributes", "fx_rates", "accounts"])
def test_the_rows_are_those_of_the_ledger(both: tuple[dict[str, pa.Table], dict[str, pa.Table]], name: str) -> None:
    taken_in, computed = (tables[name] for tables in both)
    columns = [column for column in taken_in.column_names if column not in _OWN]
    assert taken_in.num_rows > 5
    assert _sorted(computed.select(columns)) == _sorted(taken_in.select(columns))


def _sorted(table: pa.Table) -> list[str]:
    return sorted(repr(row) for row in table.to_pylist())
