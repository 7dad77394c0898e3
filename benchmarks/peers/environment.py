"""The peers' own environment, made from the locked requirements when it is not there, and how to run them in it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.peers.run import SEPARATOR
from features.journeys import Journeys

_HERE = Path(__file__).resolve().parent
_HOUR = 3_600_000_000


class Running:
    """Peers at work on some journeys.

    Parameters
    ----------
    journeys : Journeys
    arms : sequence of str
        Names of `benchmarks.peers.run.ARMS`.
    seconds : int
        CPU seconds that each arm may take.
    folder : Path
        For the file that they read.
    """

    def __init__(self, journeys: Journeys, arms: Sequence[str], seconds: int, folder: Path) -> None:
        file = folder / "journeys.parquet"
        pq.write_table(paths(journeys), file)
        self._child = subprocess.Popen(
            [_python(), str(_HERE / "run.py"), str(file), str(seconds), *arms],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=folder,
            env={"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip
        self._arms = arms

    def answers(self) -> dict[str, dict[str, Any]]:
        """Return what each arm gave: its `credit` by channel or its `error`, and its CPU `seconds`."""
        said, _ = self._child.communicate()
        found = {answer.pop("arm"): answer for answer in map(json.loads, said.splitlines())}
        return {
            arm: found.get(arm, {"error": f"its process ended with {self._child.returncode}"}) for arm in self._arms
        }


def paths(journeys: Journeys) -> pa.Table:
    """Return what the peers read, as described in `benchmarks.peers.run`."""
    there = np.flatnonzero(np.diff(journeys.offset) > 0)
    offset = pa.array(np.append(journeys.offset[there], journeys.offset[-1]), pa.int32())
    ended = np.asarray(journeys.journeys["ended_at"].to_numpy())[journeys.of_touch]
    hours = pa.array(np.round((ended - journeys.occurred_at) / _HOUR, 3)).cast(pa.string())
    channel = journeys.touches["channel"].combine_chunks().cast(pa.string())
    return pa.table(
        {
            "path": pc.binary_join(pa.ListArray.from_arrays(offset, channel), SEPARATOR),
            "hours": pc.binary_join(pa.ListArray.from_arrays(offset, hours), SEPARATOR),
            "converted": journeys.converted[there].astype(np.int64),
        }
    )


def _python() -> str:
    locked = _HERE / "requirements.txt"
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    made_for = hashlib.sha256(locked.read_bytes() + sys.version.encode()).hexdigest()[:12]
    home = cache / "smarketing-benchmarks" / f"peers-{made_for}"
    python, complete = home / "bin" / "python", home / "complete"
    if not complete.exists():
        print(f"Making the peers' environment in {home}", file=sys.stderr)
        for command in (
            ["uv", "venv", "--quiet", "--clear", "--python", sys.executable, str(home)],
            ["uv", "pip", "install", "--quiet", "--python", str(python), "--require-hashes", "-r", str(locked)],
        ):
            subprocess.run(command, check=True)
        complete.touch()
    return str(python)
