"""What happened in a simulated market, as columns: touches, passages of cycles, and what is hidden behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from features.touch_types import TOUCH_TYPES

TYPE_NAMES = tuple(TOUCH_TYPES)
TYPE_CODES = MappingProxyType({name: code for code, name in enumerate(TYPE_NAMES)})

ENDS = ("lead", "mql", "bql", "sql", "deal", "won", "lost", "disqualified")
"""What a passage leads to, by code; the first five are the stages of an open cycle."""
LEAD, MQL, BQL, SQL, DEAL, WON, LOST, DISQUALIFIED = range(len(ENDS))

COLUMNS: Mapping[str, Mapping[str, type[np.generic]]] = MappingProxyType(
    {
        "touches": {
            "account": np.int32,
            "process": np.int8,
            "touch_type": np.int8,
            "at": np.int64,
            "parent": np.int32,
            "intent": np.float32,
            "state": np.int8,
        },
        "passages": {
            "account": np.int32,
            "kind": np.int8,
            "number": np.int16,
            "origin": np.int8,
            "to": np.int8,
            "at": np.int64,
        },
        "traces": {
            "account": np.int32,
            "at": np.int64,
            "intent": np.float32,
            "levers": np.float32,
            "index": np.float32,
            "kind": np.int8,
            "stage": np.int8,
            "forward": np.float32,
        },
        "signals": {
            "account": np.int32,
            "at": np.int64,
            "intent": np.float32,
        },
    }
)
"""Columns of the four logs. `parent` is the row of the touch that this one answers, or -1; `intent` and `state` are
those of the account at the touch. `origin` and `to` are codes of `ENDS`. A trace holds, at a midnight, the hidden
intent, the lever part and the whole of the index, the cycle's kind and stage, and the chance that it moves forward that
day; stage is -1 where no cycle is open. A signal is the hidden intent on the first of a month."""

Array = npt.NDArray[np.generic]


class Log:
    """Rows of one kind, gathered in pieces.

    Parameters
    ----------
    name : str
        A key of `COLUMNS`.
    """

    def __init__(self, name: str) -> None:
        self._types = COLUMNS[name]
        self._pieces: list[dict[str, Array]] = []
        self.size = 0

    def add(self, **columns: npt.ArrayLike) -> None:
        """Append rows; a scalar column counts for all of them."""
        rows = max(np.size(value) for value in columns.values())
        self._pieces.append(
            {name: np.broadcast_to(np.asarray(columns[name], dtype=kind), rows) for name, kind in self._types.items()}
        )
        self.size += rows

    def columns(self) -> dict[str, npt.NDArray[np.int64]]:
        """Return all rows, one array per column (`intent` and its like are floats)."""
        return {
            name: np.concatenate([piece[name] for piece in self._pieces] or [np.empty(0, dtype=kind)])
            for name, kind in self._types.items()
        }


@dataclass(frozen=True)
class History:
    """The four logs of a market; columns as in `COLUMNS`.

    Parameters
    ----------
    touches, passages, traces, signals : dict of str to array
    """

    touches: dict[str, npt.NDArray[np.int64]]
    passages: dict[str, npt.NDArray[np.int64]]
    traces: dict[str, npt.NDArray[np.int64]]
    signals: dict[str, npt.NDArray[np.int64]]
