"""A service in a process of its own, as `smarketing serve` starts it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.serving.conftest import KEY

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Child:
    """A running server: its process, its address, and the processor time it took to listen."""

    process: subprocess.Popen[bytes]
    address: str
    cpu_seconds: float

    @property
    def children(self) -> list[int]:
        """Ids of the processes it has started."""
        told = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(number) for path in told for number in path.read_text().split()]


@contextmanager
def child(folder: Path, *options: str, **environment: str) -> Iterator[Child]:
    """Serve the store of a folder until the block ends."""
    log = folder / "serve.log"
    command = [
        sys.executable,
        str(ROOT / "smarketing.py"),
        "--store",
        str(folder / "market.db"),
        "serve",
        "--port",
        "0",
    ]
    surroundings = {**os.environ, "SMARKETING_API_KEY": KEY, **environment}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--cache", str(folder / "cache"), *options], cwd=ROOT, env=surroundings, stdout=out, stderr=out
        )
    try:
        address = _address(log, process)
        yield Child(process, address, _cpu_seconds(process.pid))
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(30)


def _cpu_seconds(pid: int) -> float:
    # After the name in parentheses, which may hold spaces: fields 14 and 15 of proc(5), in user and in kernel mode.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _address(log: Path, process: subprocess.Popen[bytes]) -> str:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        found = re.search(r"Listening on (http://\S+),", log.read_text())
        if found:
            return found.group(1)
        assert process.poll() is None, log.read_text()
        time.sleep(0.02)
    raise AssertionError("the server did not start: " + log.read_text())
