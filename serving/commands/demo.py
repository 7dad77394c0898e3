"""`smarketing demo`: a simulated market from its first touch to an explained score, in one command.

It runs the commands a user would run, each as a process of its own in a folder of its own, and speaks to the service
over HTTP: what works here works by hand.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from features.console import Console
from features.errors import FileError, SmarketingError

_HOST = "127.0.0.1"
_PORT = 8000
_GOAL = "won_90d"
_LIGHT = ("--set", "snapshots.every=28", "--set", "data.max_train=3000", "--set", "data.max_test=2000")
"""A demo is judged by its seconds: fewer snapshots than training would otherwise take."""

_MARKER = ".smarketing-demo"
_STARTUP_SECONDS = 60.0
_TOLERANCE = 1e-9


def demo(
    ctx: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Check the answers and exit instead of serving on.")] = False,
    directory: Annotated[Path, typer.Option("--dir", help="Folder for everything; emptied first.")] = Path(".demo"),
    port: Annotated[
        int | None,
        typer.Option(help="Port to serve on; 8000 unless given, any free one with --once.", min=1, max=65535),
    ] = None,
    accounts: Annotated[int, typer.Option(help="Accounts in the market.", min=200)] = 600,
    seed: Annotated[int, typer.Option(help="Seed of the market.")] = 7,
) -> None:
    """Simulate a market, ingest it, train a model, serve it, and ask it for a score."""
    console = Console.of(ctx)
    port = _free_port(port if port is not None else 0 if once else _PORT)
    _empty(directory)
    market = Path("market")
    _run(console, directory, "simulate", "--accounts", str(accounts), "--seed", str(seed), "--out", str(market))
    _run(console, directory, "ingest", str(market))
    _run(console, directory, "train", "--goal", _GOAL, *_LIGHT)
    with _service(console, directory, port) as service:
        service.wait_until_ready()
        account = _someone(service, directory)
        answer = _touch_and_score(service, account)
        console.emit(answer, _summary(service, account, answer))
        if not once:
            console.say("\nCtrl-C ends it.")
            service.process.wait()


@dataclass(frozen=True)
class _Service:
    """The running service and the key it accepts."""

    address: str
    key: str
    process: subprocess.Popen[bytes]

    def ask(self, path: str, body: object = None) -> dict[str, Any]:
        """Return the answer to a GET, or to a POST of `body`."""
        request = urllib.request.Request(
            self.address + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                answer: dict[str, Any] = json.load(response)
                return answer
        except urllib.error.HTTPError as error:
            raise SmarketingError(f"{path} answered {error.code}: {error.read().decode(errors='replace')}") from error

    def wait_until_ready(self) -> None:
        """Return once ``/livez`` and ``/readyz`` answer."""
        end = time.monotonic() + _STARTUP_SECONDS
        last: Exception | None = None
        while time.monotonic() < end and self.process.poll() is None:
            try:
                self.ask("/livez")
                self.ask("/readyz")
                return
            except (SmarketingError, OSError) as error:
                last = error
                time.sleep(0.1)
        ended = self.process.poll()
        why = f"it ended with {ended}" if ended is not None else f"last heard: {last}"
        raise SmarketingError(f"The service was not ready within {_STARTUP_SECONDS:g} s: {why}.")


@contextmanager
def _service(console: Console, directory: Path, port: int) -> Iterator[_Service]:
    key = f"demo_{secrets.token_hex(12)}"
    environment = _environment() | {"SMARKETING_API_KEY": key}
    console.say("== smarketing serve")
    process = subprocess.Popen(_command("serve", "--host", _HOST, "--port", str(port)), cwd=directory, env=environment)
    try:
        yield _Service(f"http://{_HOST}:{port}", key, process)
    except KeyboardInterrupt:
        console.say("Ended.")
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _run(console: Console, directory: Path, *arguments: str) -> None:
    console.say(f"== smarketing {' '.join(arguments)}")
    began = time.monotonic()
    # The results of the steps are remarks here: stdout belongs to the result of the demo.
    code = subprocess.run(
        _command(*arguments), cwd=directory, env=_environment(), stdout=sys.stderr, check=False
    ).returncode
    if code != 0:
        raise SmarketingError(f"`smarketing {arguments[0]}` ended with {code}; its message stands above.")
    console.say(f"   {time.monotonic() - began:.1f} s")


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "smarketing", *arguments]


def _environment() -> dict[str, str]:
    # The demo must neither touch nor depend on what the user has set up elsewhere.
    return {name: value for name, value in os.environ.items() if not name.startswith(("SMARKETING_", "MLFLOW_"))}


def _empty(directory: Path) -> None:
    if directory.exists() and any(directory.iterdir()):
        if not (directory / _MARKER).exists():
            raise FileError(
                f"{str(directory)!r} holds something that no demo has written, and is left alone.",
                hint="Name another folder: smarketing demo --dir FOLDER",
            )
        shutil.rmtree(directory)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / _MARKER).touch()


def _free_port(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise SmarketingError(
                f"Port {port} of {_HOST} can not be used: {error.strerror}.", hint="Name another: --port, or make PORT="
            ) from error
        free: int = probe.getsockname()[1]
        return free


def _someone(service: _Service, directory: Path) -> str:
    from features.ledger import Ledger

    with Ledger.open(str(directory / "smarketing.db")) as ledger:
        known = sorted(ledger.export("accounts").column("account_id").to_pylist())
    for account in known:
        if service.ask("/v1/scores", {"accountId": account, "goal": _GOAL})["applicable"]:
            return str(account)
    raise SmarketingError(f"The goal {_GOAL} applies to none of the {len(known)} accounts.")


def _touch_and_score(service: _Service, account: str) -> dict[str, Any]:
    question = {"accountId": account, "goal": _GOAL}
    before = service.ask("/v1/scores", question)
    occurred = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    touch = {
        "source": "demo", "eventId": str(uuid.uuid4()), "occurredAt": occurred, "accountId": account,
        "channel": "Direct", "touchType": "demo_request",
    }  # fmt: skip
    receipt = service.ask("/v1/touchpoints", {"touchpoints": [touch]})
    answer = service.ask("/v1/scores", question)
    parts = answer["contributions"]
    checks = {
        "the touch was accepted": receipt["accepted"] == 1,
        "the next answer counts it": answer["eventsFolded"] == before["eventsFolded"] + 1,
        "the answer is as of that state of the ledger": answer["ledgerSeq"] >= receipt["ledgerSeq"],
        "the log-odds add up": _equal(answer["baseLogit"] + sum(part["logit"] for part in parts), answer["logit"]),
        "the percentage points add up": _equal(
            100 * answer["baseProbability"] + sum(part["percentagePoints"] for part in parts),
            100 * answer["probability"],
        ),
    }
    if broken := [promise for promise, kept in checks.items() if not kept]:
        raise SmarketingError(f"The service broke a promise; it does not hold that {', that '.join(broken)}.")
    return answer


def _equal(found: float, expected: float) -> bool:
    return abs(found - expected) <= _TOLERANCE * max(1.0, abs(expected))


def _summary(service: _Service, account: str, answer: dict[str, Any]) -> str:
    reasons = [f"  {reason['percentagePoints']:+.1f} points: {reason['text']}" for reason in _reasons(answer)]
    return "\n".join(
        [
            f"\n{account} wins within 90 days with a probability of {answer['probability']:.1%},"
            f" grade {answer['grade']}.",
            *reasons,
            "A demo request was sent a moment ago: the answer counts it, and its parts add up to the probability.",
            f"\nService        {service.address}",
            f"Documentation  {service.address}/docs",
            "Pages          the link above, where the service said where it listens",
            f"\ncurl -s {service.address}/v1/scores -H 'Authorization: Bearer {service.key}' \\",
            f"  -H 'Content-Type: application/json' -d '{json.dumps({'accountId': account, 'goal': _GOAL})}'",
        ]
    )


def _reasons(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [*answer["reasons"]["up"], *answer["reasons"]["down"]]
