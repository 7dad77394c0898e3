"""What a child process costs: CPU seconds, wall seconds, and the peak resident size of its process tree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SAMPLE_SECONDS = 0.02


@dataclass(frozen=True)
class Cost:
    """CPU seconds include children that have ended; the peak is the larger of sampled tree and kernel's own figure."""

    cpu_seconds: float
    wall_seconds: float
    peak_mb: float


def python(arguments: Sequence[str], *, env: Mapping[str, str] | None = None) -> tuple[Cost, dict[str, Any]]:
    """Run a Python program of the repository and return its cost and the JSON in the last line it prints."""
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        child = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
            stdout=output,
        )
        peak, ended = 0.0, 0
        while not ended:
            peak = max(peak, _tree_mb(child.pid))
            time.sleep(SAMPLE_SECONDS)
            ended, status, usage = os.wait4(child.pid, os.WNOHANG)
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read()
    if child.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {child.returncode}.\n{said}")
    cost = Cost(usage.ru_utime + usage.ru_stime, time.perf_counter() - started, max(peak, usage.ru_maxrss / 1024))
    return cost, json.loads(said.strip().splitlines()[-1])


def machine() -> dict[str, Any]:
    """Return what a reader must know of the machine to judge the figures."""
    names = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    return {"cpu": names[0] if names else "unknown", "cores": os.cpu_count(), "python": sys.version.split()[0]}


def report(title: str, rows: Sequence[Mapping[str, Any]], found: Mapping[str, Any], out: Path | None) -> None:
    """Print a table of rows with the same keys, then everything as one line of JSON; write that to `out` if given."""
    print(title)
    cells = [[_shown(value) for value in row.values()] for row in rows]
    head = list(rows[0])
    widths = [max(len(line[place]) for line in [head, *cells]) for place in range(len(head))]
    for line in [head, *cells]:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))
    text = json.dumps({"title": title, "machine": machine(), "rows": list(rows), **found})
    print(text)
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")


def row(name: str, cost: Cost, **more: Any) -> dict[str, Any]:
    """Return a line of the table of an arm."""
    return {"arm": name, **{key: round(value, 2) for key, value in asdict(cost).items()}, **more}


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _tree_mb(pid: int) -> float:
    total, waiting = 0.0, [pid]
    while waiting:
        process = Path("/proc") / str(waiting.pop())
        try:
            total += int((process / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
            for thread in (process / "task").iterdir():
                waiting += [int(child) for child in (thread / "children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total
