from pathlib import Path

import pytest

from features.agreement import Agreement
from features.intake.rows import RowParser


@pytest.fixture(scope="session")
def parser():
    return RowParser(Agreement.load(None), b"a key for tests")


@pytest.fixture(scope="session")
def examples(root: Path):
    return root / "examples"
