"""Leads of an education company, nine of whose columns nobody may use: refused, flagged, and what the honest ones give.

Run ``python -m benchmarks.x_education``. First the field map's own guard is tried on every column: the seven that sales
or a vendor wrote must be refused, and all others accepted. Then the file goes in with a map that wrongly declares all
of them static, and `doctor --data` must flag Tags and nothing honest. Last the shipped map goes in, and the ladder is
trained and judged five times, on account folds of one seed, with the running number of a lead and without it.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import measure
from features.errors import FieldMapError
from features.intake.fieldmap import FieldMap
from features.ledger import Ledger

FILE = measure.ROOT.parent / "shared" / "data" / "x_education" / "Leads.csv.gz"
MAP = measure.ROOT / "examples" / "x_education.toml"
AGREEMENT = measure.ROOT / "examples" / "x_education.agreement.toml"
WRITTEN_AFTERWARDS = {
    "Tags": "sales",
    "Lead Quality": "sales",
    "Lead Profile": "sales",
    "Asymmetrique Activity Index": "vendor",
    "Asymmetrique Profile Index": "vendor",
    "Asymmetrique Activity Score": "vendor",
    "Asymmetrique Profile Score": "vendor",
}
BARS = {"auc": 0.878}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--folds-of", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not FILE.exists():
        print(f"Skipped: {FILE.name} is not there (X Education leads, Kaggle).")
        return
    if options.folds_of:
        print(json.dumps(_folds(options.folds_of, options.seed)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        refused = _refused(folder)
        cost, _ = _ingest(folder / "wrong.db", _map(folder, dict.fromkeys(_columns(), "static = true")))
        rows = [measure.row("ingest, all static", cost, result="")]
        flagged = _flagged(folder / "wrong.db")
        cost, _ = _ingest(folder / "leads.db", MAP)
        rows.append(measure.row("ingest, shipped map", cost, result=""))
        arguments = [
            "-m",
            "benchmarks.x_education",
            "--folds-of",
            str(folder / "leads.db"),
            "--seed",
            str(options.seed),
        ]
        cost, found = measure.python(arguments)
        rows.append(measure.row("ladder", cost, result="5 folds, twice"))
    wrong = _missed(refused, flagged, found)
    measure.report(
        "x_education", rows, {"refused": refused, "flagged": flagged, "folds": found, "missed": wrong}, options.json
    )
    print(f"refused by provenance: {', '.join(refused)}")
    print(f"flagged from the data alone: {', '.join(flagged)}")
    for name, rungs in found.items():
        for rung, values in rungs.items():
            shown = "  ".join(f"{key} {value:.4f}" for key, value in values.items())
            print(f"{name:>24} {rung:>12}  {shown}")
    for line in wrong:
        print(f"MISSED: {line}")
    raise SystemExit(1 if wrong else 0)


def _columns() -> list[str]:
    with gzip.open(FILE, "rt", encoding="utf-8") as file:
        return [name for name in next(csv.reader(file)) if name not in ("", "Prospect ID", "Converted")]


def _field(column: str) -> str:
    return re.sub("[^a-z]+", "_", column.lower())


def _map(folder: Path, declared: Mapping[str, str]) -> Path:
    """Return the shipped map with other attributes: columns, each with what is said of its origin."""
    shipped = MAP.read_text(encoding="utf-8")
    start = shipped.index("[rows.attributes]")
    lines = [f'{_field(column)} = {{ column = "{column}", {origin} }}' for column, origin in declared.items()]
    path = folder / "map.toml"
    rest = shipped[shipped.index("[[rows]]", start) :]
    path.write_text("\n".join([shipped[:start], "[rows.attributes]", *lines, rest]), encoding="utf-8")
    return path


def _refused(folder: Path) -> list[str]:
    refused = []
    for column in _columns():
        writer = WRITTEN_AFTERWARDS.get(column, "customer")
        try:
            FieldMap.load(_map(folder, {column: f'written_by = "{writer}"'}))
        except FieldMapError as error:
            print(f"{error}\n  {error.hint}", file=sys.stderr)
            refused.append(column)
    return refused


def _ingest(store: Path, path: Path) -> tuple[measure.Cost, dict[str, Any]]:
    return measure.python(["smarketing.py", "--store", str(store), "--json", "ingest", str(FILE), "--map", str(path)])


def _flagged(store: Path) -> list[str]:
    from training.config import load_config
    from training.dataset import build_dataset
    from training.leaks import judge_columns, with_raw_attributes

    agreement, config = load_config(AGREEMENT)
    with Ledger.open(store) as ledger:
        tables = ledger.tables()
    data = build_dataset(tables, with_raw_attributes(agreement, tables), config)
    return [column.name for column in judge_columns(data, seed=0) if column.is_suspicious]


def _folds(store: str, seed: int) -> dict[str, dict[str, dict[str, float]]]:
    """Return the mean of each measure over the folds, by what the models may read and by rung."""
    from dataclasses import replace

    from training.config import load_config

    agreement, config = load_config(AGREEMENT, seed=seed)
    with Ledger.open(store) as ledger:
        tables = ledger.tables()
    unnumbered = tuple(feature for feature in agreement.features if feature.name != "arrival")
    found = {}
    for name, chosen in (
        ("all honest columns", agreement),
        ("no running number", replace(agreement, features=unnumbered)),
    ):
        folds = []
        for fold in range(config.split.folds):
            print(f"{name}, fold {fold}", file=sys.stderr)
            folds.append(_judged(tables, chosen, replace(config, split=replace(config.split, fold=fold))))
        found[name] = {
            rung: {key: float(np.mean([fold[rung][key] for fold in folds])) for key in values}
            for rung, values in folds[0].items()
        }
    return found


def _judged(tables: Any, agreement: Any, config: Any) -> dict[str, dict[str, float]]:
    from models import metrics
    from training.run import train_on

    trained = train_on(tables, agreement, config)
    test = trained.dataset.split.test
    label = trained.dataset.label[test]
    measured = {}
    rungs = {**trained.ladder.rungs, "best": trained.ladder.champion}
    for name, rung in rungs.items():
        p = metrics.sigmoid(rung.calibration.logit(rung.scorer.margin(trained.X[test])))
        measured[name] = {
            "auc": metrics.auc(label, p),
            "pr_auc": metrics.pr_auc(label, p),
            "brier": metrics.brier(label, p),
        }
    return measured


def _missed(refused: Sequence[str], flagged: Sequence[str], found: Mapping[str, Any]) -> list[str]:
    missed = [f"{column} was not refused" for column in WRITTEN_AFTERWARDS if column not in refused]
    missed += [f"{column} was refused" for column in refused if column not in WRITTEN_AFTERWARDS]
    if list(flagged) != ["attributes.tags"]:
        missed.append(f"flagged: {', '.join(flagged) or 'nothing'}, instead of Tags alone")
    reached = found["all honest columns"]["best"]
    return missed + [f"{key} {reached[key]:.4f}, the bar is {bar}" for key, bar in BARS.items() if reached[key] < bar]


if __name__ == "__main__":
    main()
