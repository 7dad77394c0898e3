"""`smarketing serve` as a process."""

from __future__ import annotations

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
    assert server.seconds < 60, "five seconds on a quiet machine"
    assert "/lib_lightgbm" in loaded
    assert not [name for name in ("/pandas/", "/sklearn/", "/mlflow/", "/duckdb/", "/matplotlib/") if name in loaded]
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
    ],
)
def test_a_start_that_can_not_be_says_why_without_a_traceback(
    tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    ended = subprocess.run(
        [sys.executable, str(ROOT / "smarketing.py"), *options], cwd=tmp_path, capture_output=True, text=True
    )
    assert ended.returncode != 0
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
