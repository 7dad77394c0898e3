"""`smarketing serve` as a process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from tests.serving.child import ROOT, child
from tests.serving.conftest import KEY, Models, fill, market, serving


def test_it_serves_from_its_cache_beside_a_dead_registry(tmp_path: Path, models: Models) -> None:
    models.promote(tmp_path, 1, "1.0")
    with serving(tmp_path) as service:
        fill(service, market(accounts=2))
    with child(tmp_path, MLFLOW_TRACKING_URI="http://127.0.0.1:9") as server:
        with httpx2.Client(base_url=server.address, timeout=60) as client:
            key = {"authorization": f"Bearer {KEY}"}
            answer = client.post("/v1/scores", json={"accountId": "a-001"}, headers=key).json()
        loaded = Path(f"/proc/{server.process.pid}/maps").read_text()
        started = server.children
    assert answer["probability"] is not None
    assert not answer["degraded"]
    # On a quiet machine the start lasts as long as the processor works for it; on a busy one its clock says nothing.
    assert server.cpu_seconds < 5
    assert "/lib_lightgbm" in loaded
    assert not [
        name
        for name in ("/pandas/", "/sklearn/", "/scipy/sparse/", "/mlflow/", "/duckdb/", "/matplotlib/")
        if name in loaded
    ]
    assert len(started) == 1
    until = time.monotonic() + 10
    while time.monotonic() < until and Path(f"/proc/{started[0]}").exists():
        time.sleep(0.05)
    assert not Path(f"/proc/{started[0]}").exists(), "the refresher outlived the service"
    assert server.process.returncode in (0, -15)
    assert KEY not in (tmp_path / "serve.log").read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--store", "/nowhere/at/all.db", "serve"), "there is no folder /nowhere/at"),
        (("serve", "--port", "99999"), "65535"),
        (("serve", "--cache", "a-file"), "Not a directory"),
    ],
)
def test_a_start_that_can_not_be_says_why_without_a_traceback(
    tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    (tmp_path / "a-file").touch()
    ended = _serve(tmp_path, *options)
    assert ended.returncode in (1, 2)
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_port_in_use_is_a_failure_with_a_next_step(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = _serve(tmp_path, "serve", "--no-refresh", "--port", str(taken.getsockname()[1]))
    assert ended.returncode == 1
    assert "address already in use" in ended.stderr
    assert "Next:  name another port" in ended.stderr


def test_a_setting_that_can_not_be_is_named(tmp_path: Path) -> None:
    ended = _serve(tmp_path, "serve", SMARKETING_MAX_ROWS="many")
    assert ended.returncode == 1
    assert "Error: `SMARKETING_MAX_ROWS`" in ended.stderr
    assert "Traceback" not in ended.stderr


def _serve(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "smarketing.py"), *options]
    return subprocess.run(command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True)
