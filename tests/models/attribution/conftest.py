"""The field's reference set of counted paths."""

from __future__ import annotations

import csv
import gzip

import pytest

from features.journeys import counted_paths


@pytest.fixture(scope="session")
def paths_10k(root):
    """Return the journeys of 10,000 counted paths; a value is kept to a thousandth."""
    path = root.parent / "shared" / "data" / "journeys" / "paths_10k.csv.gz"
    if not path.exists():
        pytest.skip(f"{path.name} is not here: data of the package mta (MIT), in ../shared/data/journeys")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return counted_paths(
        [row["path"].split(" > ") for row in rows],
        [int(row["total_conversions"]) for row in rows],
        [round(1000 * float(row["total_conversion_value"])) for row in rows],
        [int(row["total_null"]) for row in rows],
    )
