"""What the gates of a promotion found, as one record: for the screen, for JSON, and as a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from training.dataset import shown

PASSED, REFUSED, NOT_JUDGED = "passed", "refused", "not judged"

_PAGE = Path(__file__).with_name("templates") / "gates.html"


@dataclass(frozen=True)
class Gate:
    """What one gate found.

    Parameters
    ----------
    name : str
    outcome : str
        ``passed``, ``refused``, or ``not judged`` when there is nothing to judge by.
    found : str
        In words and figures.
    mend : str
        What to do when it refuses.
    figures : mapping of str to float or None
        The same figures by name.
    """

    name: str
    outcome: str
    found: str
    mend: str = ""
    figures: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """What all gates found, and on which rows.

    Parameters
    ----------
    goal : str
    candidate, champion : str
        Digests of the bundles; the champion's is empty when there is none that can be compared with.
    rows, accounts, outcomes : int
        Of the hold-out; outcomes are accounts with a positive row.
    since : int or None
        Its first moment, UTC microseconds.
    settings : mapping
        By what the hold-out was asked: the goal, and [snapshots], [split] and [data], flat.
    gates : tuple of Gate
    """

    goal: str
    candidate: str
    champion: str
    rows: int
    accounts: int
    outcomes: int
    since: int | None
    settings: Mapping[str, Any]
    gates: tuple[Gate, ...]

    @property
    def passed(self) -> bool:
        """Whether no gate refuses."""
        return not self.refused

    @property
    def refused(self) -> tuple[str, ...]:
        """Names of the gates that refuse."""
        return tuple(gate.name for gate in self.gates if gate.outcome == REFUSED)

    @property
    def grounds(self) -> str:
        """Say what was compared with what, and on which rows."""
        against = "the champion" if self.champion else "the base rate, as there is no champion to compare with"
        taught = "taught neither" if self.champion else "did not teach it"
        since = "" if self.since is None else f" from {shown(self.since)}"
        return (
            f"Against {against}, on {self.rows:,} snapshots of {self.accounts:,} accounts ({self.outcomes:,} with the"
            f" outcome){since} that {taught}."
        )

    def document(self) -> dict[str, Any]:
        """Return the verdict as JSON writes it."""
        return {**asdict(self), "gates": [asdict(gate) for gate in self.gates], "passed": self.passed}

    def text(self) -> str:
        """Return the verdict as people read it: a line per gate, and what to do where one refuses."""
        lines = [f"Gates of {self.goal}. {self.grounds}"]
        for gate in self.gates:
            lines.append(f"  {gate.outcome:<10}  {gate.name:<12}  {gate.found}")
            if gate.outcome == REFUSED:
                lines.append(f"  {'':<10}  {'':<12}  Next: {gate.mend}")
        return "\n".join(lines)

    def page(self) -> str:
        """Return the verdict as one page of HTML that asks for nothing else."""
        from jinja2 import Environment

        template = Environment(autoescape=True).from_string(_PAGE.read_text(encoding="utf-8"))
        return template.render(verdict=self, refused=REFUSED)
