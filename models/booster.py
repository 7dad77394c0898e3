"""LightGBM boosters for scoring.

LightGBM's import loads scikit-learn and pandas where they are installed, for interfaces that scoring never uses: most
of its start-up time. `load_booster` keeps both out of a process that has not loaded them already.
"""

from __future__ import annotations

import importlib
import sys
import threading
from types import ModuleType
from typing import Any

from features.errors import BundleError

_HIDDEN = ("sklearn", "pandas")
_IMPORTING = threading.Lock()


def load_booster(text: str) -> Any:
    """Return the `lightgbm.Booster` of a model text.

    Raises
    ------
    BundleError
        When LightGBM refuses the text. A damaged text may also end the process: verify it first.
    """
    lightgbm = _lightgbm_for_scoring()
    try:
        return lightgbm.Booster(model_str=text)
    except lightgbm.basic.LightGBMError as error:
        raise BundleError(f"LightGBM refuses the model text: {error}") from error


def _lightgbm_for_scoring() -> ModuleType:
    with _IMPORTING:
        if "lightgbm" in sys.modules or any(name in sys.modules for name in _HIDDEN):
            return importlib.import_module("lightgbm")
        # None makes `import name` fail as if it were not installed, which LightGBM provides for.
        sys.modules.update(dict.fromkeys(_HIDDEN))  # type: ignore[arg-type]
        try:
            return importlib.import_module("lightgbm")
        finally:
            for name in _HIDDEN:
                sys.modules.pop(name, None)
