from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from features.algebra import Latest, where
from features.catalogue import Catalogue
from features.feature import Feature
from smarketing import app
from tests.training.conftest import hand_made
from training.dataset import Dataset
from training.leaks import Column, judge_columns, separation


def planted(**columns) -> Dataset:
    """The hand-made snapshots with attributes planted in them."""
    data = hand_made(400, accounts=200)
    table, declared = data.table, list(data.catalogue.features)
    for name, values in columns.items():
        is_text = values(data).dtype.kind == "U"
        table = table.append_column(name, pa.array(values(data)))
        latest = Latest("attributes", "value" if is_text else "number", where(field=name))
        declared.append(Feature(name, name, "fit", "value", {}, {}, {}, latest))
    return replace(data, table=table, catalogue=Catalogue(tuple(declared)))


def written_afterwards(data: Dataset):
    random = np.random.default_rng(0)
    return np.where(random.random(len(data.label)) < 0.9, data.label, 1 - data.label).astype(str)


def honest(data: Dataset):
    return (data.label + np.random.default_rng(1).normal(0, 1.5, len(data.label))).round(3)


def found(data: Dataset) -> dict[str, Column]:
    return {column.name: column for column in judge_columns(data, seed=0)}


def test_a_column_written_after_the_outcome_is_extreme():
    columns = found(planted(tags=written_afterwards, honest=honest))
    assert [name for name, column in columns.items() if column.is_suspicious] == ["tags"]
    assert columns["tags"].flags == ("extreme",)
    assert columns["tags"].auc == pytest.approx(0.9, abs=0.02)


def test_one_leak_does_not_hide_another():
    columns = found(planted(tags=written_afterwards, verdict=written_afterwards, honest=honest))
    assert columns["tags"].is_extreme
    assert columns["verdict"].is_extreme


def test_a_column_that_names_an_outcome_jumps():
    def shared_outcomes(data: Dataset) -> Dataset:
        # The rows of an account within a quarter share one outcome, as they do when its horizon is long.
        group = np.char.add(data.account_id, (data.as_of // (90 * 86_400_000_000)).astype(str))
        names, place = np.unique(group, return_inverse=True)
        label = (np.random.default_rng(0).random(len(names)) < 0.4).astype(np.int8)[place]
        column = pa.array(group)
        latest = Latest("attributes", "value", where(field="week"))
        features = (*data.catalogue.features, Feature("week", "week", "fit", "value", {}, {}, {}, latest))
        return replace(data, label=label, table=data.table.append_column("week", column), catalogue=Catalogue(features))

    columns = found(shared_outcomes(hand_made(700, accounts=30)))
    assert [name for name, column in columns.items() if column.is_suspicious] == ["week"]
    assert columns["week"].flags == ("jump",)
    assert columns["week"].auc == pytest.approx(0.5, abs=0.1)


def test_every_finding_has_its_mend():
    for flags, mend in (((True, False), "leave it out of the map"), ((False, True), "into groups")):
        (finding,) = Column("attributes.tags", "tags", 0.9, 0.95, 3.0, *flags).findings()
        assert "attributes.tags" in finding
        assert mend in finding


def test_separation_is_that_of_two_normal_distributions():
    random = np.random.default_rng(0)
    above = (random.normal(1.2, 1, 200_000) > random.normal(0, 1, 200_000)).mean()
    assert separation(float(above)) == pytest.approx(1.2, abs=0.01)


@pytest.fixture(scope="module")
def leads(root, tmp_path_factory):
    """A ledger of the first 900 leads, every column declared static."""
    import csv
    import gzip
    import re

    source = root.parent / "shared" / "data" / "x_education" / "Leads.csv.gz"
    if not source.exists():
        pytest.skip(f"{source.name} of X Education (Kaggle) is not here: ../shared/data/x_education")
    folder = tmp_path_factory.mktemp("leads")
    with gzip.open(source, "rt", encoding="utf-8") as file:
        rows = list(csv.reader(file))[:901]
    (folder / "leads.csv").write_text("".join(",".join(f'"{cell}"' for cell in row) + "\n" for row in rows))
    shipped = (root / "examples" / "x_education.toml").read_text(encoding="utf-8")
    start, rest = shipped.index("[rows.attributes]"), shipped.index("[[rows]]", shipped.index("[rows.attributes]"))
    columns = [name for name in rows[0] if name not in ("", "Prospect ID", "Converted")]
    static = [f'{re.sub("[^a-z]+", "_", name.lower())} = {{ column = "{name}", static = true }}' for name in columns]
    text = "\n".join([shipped[:start], "[rows.attributes]", *static, shipped[rest:]])
    (folder / "wrong.toml").write_text(text, encoding="utf-8")
    agreement = root / "examples" / "x_education.agreement.toml"
    shared = ("--store", str(folder / "leads.db"), "--agreement", str(agreement))
    told = CliRunner().invoke(app, ["ingest", str(folder / "leads.csv"), "--map", str(folder / "wrong.toml"), *shared])
    assert told.exit_code == 0, told.output
    return shared


def test_tags_are_flagged_from_the_data_alone_and_nothing_honest_is(leads):
    told = CliRunner().invoke(app, ["doctor", "--data", "--json", *leads])
    assert told.exit_code == 5, told.output
    suspicious = [column["column"] for column in json.loads(told.stdout)["data"] if column["flags"]]
    assert suspicious == ["attributes.tags"]
    assert len(json.loads(told.stdout)["findings"]) == 1


def test_a_doctor_without_a_check_says_what_there_is():
    told = CliRunner().invoke(app, ["doctor"])
    assert told.exit_code == 2
    assert "--data" in told.stderr
