"""Every notebook runs from beginning to end, and its two files say the same."""

from __future__ import annotations

import ast
from pathlib import Path

import jupytext
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
SOURCES = sorted(NOTEBOOKS.glob("*.py"))
NAMES = [path.stem for path in SOURCES]

each = pytest.mark.parametrize("source", SOURCES, ids=NAMES)


def cells(path: Path) -> list[tuple[str, str]]:
    return [(cell.cell_type, cell.source) for cell in jupytext.read(path).cells]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """Let kernels leave nothing behind, find no kernel but ours, and share what Python compiles."""
    home = tmp_path_factory.mktemp("kernel")
    folders = ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "MPLCONFIGDIR")
    with pytest.MonkeyPatch.context() as patch:
        for name in folders:
            patch.setenv(name, str(home / name.lower()))
        for name in ("JUPYTER_PATH", "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "PYTHONDONTWRITEBYTECODE"):
            patch.delenv(name, raising=False)
        patch.setenv("PYTHONPYCACHEPREFIX", str(home / "pycache"))
        patch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
        yield home


def test_there_are_notebooks():
    assert NAMES == ["01_explore_a_market", "02_train_and_compare", "03_explain", "04_decide", "05_attribution"]


@each
def test_both_files_say_the_same(source):
    assert cells(source) == cells(source.with_suffix(".ipynb")), "make notebooks brings them in step"


@each
def test_no_output_is_kept(source):
    code = [cell for cell in jupytext.read(source.with_suffix(".ipynb")).cells if cell.cell_type == "code"]
    assert code
    assert not any(cell.outputs or cell.execution_count for cell in code), "make notebooks drops them"


@each
def test_a_notebook_is_prose_and_calls(source):
    tree = ast.parse(source.read_text(encoding="utf-8"))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda)]
    assert all((node.end_lineno or node.lineno) - node.lineno < 3 for node in found), "it belongs in a package"


@each
def test_a_notebook_opens_with_its_subject_and_closes_with_what_to_try_next(source):
    first, *_, last = cells(source)
    assert (first[0], first[1][:2]) == ("markdown", "# ")
    assert (last[0], last[1].splitlines()[0]) == ("markdown", "## What to try next")


@pytest.mark.slow
@each
def test_a_notebook_runs(source, kernel, tmp_path):
    notebook = jupytext.read(source)
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, kernel_name="python3", timeout=300, resources=resources).execute()
    outputs = [out for cell in notebook.cells if cell.cell_type == "code" for out in cell.outputs]
    assert any("image/png" in out.get("data", {}) for out in outputs)
    assert [out.text for out in outputs if out.get("name") == "stderr"] == []
    assert list(tmp_path.iterdir()) == []
