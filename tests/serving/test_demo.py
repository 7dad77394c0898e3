"""The demo leaves alone what is not its own, and says why it can not start."""

from __future__ import annotations

import socket

import pytest
from typer.testing import CliRunner

from smarketing import app


def test_a_folder_of_someone_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    result = CliRunner().invoke(app, ["demo", "--once", "--dir", str(tmp_path)])
    assert result.exit_code == 1
    assert "holds something that no demo has written" in result.stderr
    assert (tmp_path / "thesis.txt").exists()


def test_a_port_in_use_is_said_before_anything_is_made(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(app, ["demo", "--dir", str(tmp_path / "demo"), "--port", port])
    assert result.exit_code == 1
    assert f"Port {port} of 127.0.0.1 can not be used" in result.stderr
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize("option", [("--accounts", "3"), ("--port", "70000")])
def test_values_that_can_not_be_are_usage_errors(option):
    assert CliRunner().invoke(app, ["demo", *option]).exit_code == 2
