"""Leads of an education company, nine of whose columns nobody may use: refused, flagged, and what the honest ones give.

Run ``python -m benchmarks.x_education``. First the field map's own guard is tried on every column: the seven that sales or
a vendor wrote must be refused, and all others accepted. Then the file goes in with a map that wrongly declares all of
them static, and `doctor --data` must flag Tags and nothing honest. Last the shipped map goes in, and the ladder is
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
        cost, _ = _ingest(folder / "wrong.db", _declared(folder, [f"static = true"] * len(_columns())))
        rows = [measure.row("ingest, all static", cost, result="")]
        flagged = _flagged(folder / "wrong.db")
        cost, _ = _ingest(folder / "leads.db", MAP)
        rows.append(measure.row("ingest, shipped map", cost, result=""))
        arguments = ["-m", "benchmarks.x_education", "--folds-of", str(folder / "leads.db"), "--seed", str(options.seed)]
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
