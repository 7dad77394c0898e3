"""What every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

# How long one example takes says more about the machine than about the code.
settings.register_profile("house", deadline=None, print_blob=True)
settings.load_profile("house")


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the root of the project."""
    return ROOT


@pytest.fixture(scope="session")
def bpic2012() -> Path:
    """Return the public event log of a lender's application funnel."""
    path = ROOT.parent / "shared" / "data" / "bpic2012" / "events.csv.gz"
    if not path.exists():
        pytest.skip(
            f"{path.name} of BPI Challenge 2012 is not here: 4TU.ResearchData, as CSV, in ../shared/data/bpic2012"
        )
    return path
