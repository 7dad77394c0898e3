"""Any stream, however it is sent, cut, resent and interrupted, leaves what a naive model says."""

import tempfile
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from features.ledger import Batch, Ledger
from tests.features.ledger.rows import NOW, counts, deal

rows = st.builds(
    deal,
    st.integers(1, 2),
    amount=st.integers(1, 3),
    deleted=st.booleans(),
    known_at=st.sampled_from([None, 10, 20, 30]),
    revision=st.sampled_from([None, None, 1, 2, 3]),
)


@dataclass
class Naive:
    """Rows as (revision, content, known_at, live) in order of arrival, and the rules word by word."""

    stored: dict = field(default_factory=dict)

    def append(self, row, now):
        key = row["occurred_at"]
        content, known_at, revision = (row["amount"], row["deleted"]), row["known_at"] or now, row["revision"]
        old = self.stored.setdefault(key, [])
        current = max(old, default=None)
        if revision is not None:
            same = [entry for entry in old if entry[0] == revision]
            if same:
                return "duplicate" if same[0][1] == content else "rejected"
        elif current and current[1] == content:
            return "duplicate"
        else:
            if row["known_at"] and any(entry[1:] == (content, known_at) for entry in old):
                return "duplicate"
            revision = current[0] + 1 if current else 1
        old.append((revision, content, known_at))
        return "corrected" if current else "accepted"

    def visible(self, at):
        """Of what is known at a moment, the highest revision; nothing when that is a retraction."""
        latest = {
            key: max((entry for entry in old if entry[2] <= at), default=None) for key, old in self.stored.items()
        }
        return {key: entry[1][0] for key, entry in latest.items() if entry and not entry[1][1]}


class Stream(RuleBasedStateMachine):
    sent = Bundle("sent")

    def __init__(self):
        super().__init__()
        self.now, self.naive = NOW, Naive()
        self.ledger: Ledger | None = None

    @initialize()
    def open(self):
        self.folder = tempfile.TemporaryDirectory()
        self.reopen()

    @rule()
    def reopen(self):
        if self.ledger:
            self.ledger.close()
        self.ledger = Ledger.open(f"{self.folder.name}/market.db", clock=lambda: self.now)

    @rule(target=sent, batch=st.lists(rows, max_size=4))
    def send(self, batch):
        assert self.ledger is not None
        self.now += 1
        expected = [self.naive.append(row, self.now) for row in batch]
        receipt = self.ledger.append(Batch({"deals": batch}))
        assert counts(receipt) == tuple(
            expected.count(name) for name in ("accepted", "corrected", "duplicate", "rejected")
        )
        return multiple(*batch)

    @rule(again=st.lists(sent, max_size=5))
    def resend(self, again):
        self.send(again)

    @invariant()
    def what_is_visible_is_what_the_model_says(self):
        if self.ledger is None:
            return
        found = self.ledger.tables()["deals"].to_pylist()
        for at in (5, 10, 20, 30, NOW, NOW + 1, self.now - 1, self.now):
            visible = {r["occurred_at"]: r["amount"] for r in found if r["known_at"] <= at < r["known_until"]}
            assert visible == self.naive.visible(at)

    def teardown(self):
        if self.ledger is not None:
            self.ledger.close()
            self.folder.cleanup()


Stream.TestCase.settings = settings(max_examples=15, stateful_step_count=12)
TestStream = Stream.TestCase
