"""The registered model as MLflow runs it: features in, probabilities out, from the files of a bundle.

MLflow stores this file itself (models-from-code) and runs it wherever the model is loaded. So it imports none of our
packages, and says once more, in numpy, what `models.encoding` and `models.propensity` say; a test holds them together.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel


class BundleScorer(PythonModel):
    """Scores rows of features with a bundle."""

    def load_context(self, context: Any) -> None:
        """Read the bundle, verifying the hash of every file that is used."""
        folder = Path(context.artifacts["bundle"])
        manifest = json.loads((folder / "manifest.json").read_bytes())
        self._margin: Callable[[Any], Any]
        self._encoding = manifest["encoding"]
        self._line = json.loads(_verified(folder, manifest, "calibration.json"))
        if manifest["kind"] == "lightgbm":
            import lightgbm

            text = _verified(folder, manifest, "model.txt").decode()
            booster = lightgbm.Booster(model_str=text, params={"verbosity": -1})
            self._margin = partial(booster.predict, raw_score=True)
        else:
            self._model = json.loads(_verified(folder, manifest, "model.json"))
            self._margin = self._points_margin if manifest["kind"] == "points" else self._linear_margin

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:
        """Return the calibrated probability of each row of a data frame whose columns are the features."""
        margin = np.asarray(self._margin(self._encode(model_input)))
        return 1.0 / (1.0 + np.exp(-(self._line["a"] * margin + self._line["b"])))

    def _encode(self, frame: pd.DataFrame) -> Any:
        names, dtypes = self._encoding["names"], self._encoding["dtypes"]
        encoded = np.empty((len(frame), len(names)))
        for column, (name, dtype) in enumerate(zip(names, dtypes, strict=True)):
            if dtype == "category":
                codes = {value: code for code, value in enumerate(self._encoding["categories"][name])}
                encoded[:, column] = [codes.get(value, np.nan) for value in frame[name]]
            else:
                encoded[:, column] = frame[name].to_numpy(dtype=float, na_value=np.nan)
        return encoded

    def _points_margin(self, rows: Any) -> Any:
        column = [row["column"] for row in self._model["table"]]
        points = np.array([row["points"] for row in self._model["table"]], dtype=float)
        return np.nan_to_num(rows[:, column]) @ points / self._model["points_per_unit"]

    def _linear_margin(self, rows: Any) -> Any:
        model = self._model
        value = np.array([np.nan if one is None else one for one in model["value"]], dtype=float)
        transform = np.array(model["transform"], dtype=object)
        x = rows[:, np.array(model["column"], dtype=int)]
        missing = np.isnan(x)
        filled = np.where(missing, value, x)
        logged = (np.sign(filled) * np.log1p(np.abs(filled)) - model["centre"]) / model["scale"]
        linear = (filled - model["centre"]) / model["scale"]
        scaled = np.where(transform == "linear", linear, np.clip(logged, -model["limit"], model["limit"]))
        level = (x == value) | (missing & np.isnan(value))
        terms = np.where(transform == "missing", missing, np.where(transform == "level", level, scaled))
        return model["base"] + (terms - model["mean"]) @ np.array(model["coefficient"], dtype=float)


def _verified(folder: Path, manifest: Any, name: str) -> bytes:
    content = (folder / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != manifest["files"][name]["sha256"]:
        raise ValueError(f"{name} is damaged: its hash is not that of the manifest.")
    return content


set_model(BundleScorer())
