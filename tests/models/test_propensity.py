from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from features.errors import BundleError
from models.propensity import scorer_from_files

ODD_ROW = np.array([99.0, -5.0, 1e9, np.nan, np.nan, np.nan, 0.0])


def test_contributions_sum_to_the_margin(rung, market):
    X = np.vstack([market.X, ODD_ROW, np.full(7, np.nan)])
    contributions = rung.scorer.contributions(X)
    assert contributions.shape == (len(X), 8)
    assert contributions.sum(axis=1) == pytest.approx(rung.scorer.margin(X), abs=1e-9)


def test_the_base_is_the_same_for_every_row(rung, market):
    assert np.unique(rung.scorer.contributions(market.X)[:, -1]).size == 1


def test_linear_contributions_average_to_zero_in_training(ladder, market):
    for name in ("stage_table", "logistic"):
        contributions = ladder.rungs[name].scorer.contributions(market.X)
        assert contributions[:, :-1].mean(axis=0) == pytest.approx(np.zeros(7), abs=1e-9)


def test_a_scorer_survives_its_files_bit_for_bit(rung, market):
    loaded = scorer_from_files(rung.scorer.files(), rung.scorer.kind, rung.name)
    assert loaded.margin(market.X).tobytes() == rung.scorer.margin(market.X).tobytes()
    assert loaded.contributions(market.X).tobytes() == rung.scorer.contributions(market.X).tobytes()
    assert loaded.n_features == 7


def test_one_row_scores_as_in_a_batch(rung, market):
    alone = [rung.scorer.margin(row[None, :])[0] for row in market.X[:50]]
    assert alone == pytest.approx(rung.scorer.margin(market.X)[:50], abs=1e-12)


@pytest.mark.parametrize("text", [b"", b"{}", b"[1]", b"tree\nversion=v4\n", b"\xff\xfe"])
@pytest.mark.parametrize("kind", ["logistic", "lightgbm"])
def test_a_model_that_can_not_be_read_is_refused(kind, text):
    with pytest.raises(BundleError):
        scorer_from_files({"model.json": text, "model.txt": text}, kind, "x")


def test_an_unknown_kind_is_refused():
    with pytest.raises(BundleError, match="must be one of points, logistic, lightgbm"):
        scorer_from_files({}, "pickle", "x")


def test_scoring_loads_neither_scikit_learn_nor_pandas(boosted):
    script = (
        "import sys; from pathlib import Path; import models.explain; from models.bundle import load_bundle\n"
        f"load_bundle(Path({str(boosted)!r})).check_golden()\n"
        "loaded = {'sklearn', 'pandas', 'mlflow', 'duckdb', 'fastapi'} & set(sys.modules)\n"
        "sys.exit(','.join(loaded) or 0)"
    )
    root = Path(__file__).parents[2]
    child = subprocess.run(
        [sys.executable, "-c", script], cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True
    )
    assert (child.returncode, child.stderr) == (0, b"")
