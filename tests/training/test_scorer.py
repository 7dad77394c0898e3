from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pyarrow as pa
import pytest

from models.bundle import load_bundle
from models.metrics import sigmoid


# MLflow says this of its own classes when it is imported.
@pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning")
def test_values_beyond_all_that_taught_are_cut_as_the_bundle_cuts_them(trained, bundle):
    from training.scorer import BundleScorer

    loaded, scorer = load_bundle(bundle), BundleScorer()
    scorer.load_context(SimpleNamespace(artifacts={"bundle": str(bundle)}))
    rows = trained.dataset.table.slice(0, 2).to_pydict() | {"touches_30d": [1e9, 1e18]}
    expected = sigmoid(loaded.logit(loaded.encoding.matrix(pa.table(rows))))
    assert loaded.kind == "logistic"
    assert scorer.predict(None, pd.DataFrame(rows)) == pytest.approx(expected, abs=1e-12)
