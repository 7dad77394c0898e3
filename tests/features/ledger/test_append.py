import pytest

from features.ledger.append import CONFLICT, DUPLICATE, FIRST, Addition, Version, decide, digest
from features.schema import FOREVER


def version(revision, content, known_at, known_until=FOREVER):
    return Version(revision, content, known_at, known_until, ledger_seq=revision)


def test_a_key_never_seen_is_added():
    assert decide([], "a", 5, revision=None, live=True) == FIRST
    assert decide([], "a", 5, revision=7, live=True) == Addition(7, FOREVER)


def test_the_content_of_the_current_revision_is_a_duplicate_whenever_it_is_known():
    assert decide([version(1, "a", 5)], "a", 9, revision=None, live=False) is DUPLICATE


def test_other_content_is_the_next_revision_and_closes_the_current_one():
    old = version(3, "a", 5)
    assert decide([old], "b", 9, revision=None, live=True) == Addition(4, FOREVER, [old])


def test_a_file_that_comes_again_changes_nothing_but_a_live_change_of_mind_does():
    history = [version(1, "a", 5, 5), version(2, "b", 5)]
    assert decide(history, "a", 5, revision=None, live=False) is DUPLICATE
    assert isinstance(decide(history, "a", 5, revision=None, live=True), Addition)


@pytest.mark.parametrize(("content", "expected"), [("a", DUPLICATE), ("b", CONFLICT)])
def test_a_revision_that_exists_is_a_duplicate_or_a_conflict(content, expected):
    assert decide([version(1, "a", 5), version(2, "c", 6)], content, 9, revision=1, live=True) is expected


def test_a_lower_revision_ends_when_the_first_higher_one_is_known():
    assert decide([version(5, "e", 8), version(9, "i", 7)], "c", 2, revision=3, live=False) == Addition(3, 7, [])


def test_a_revision_between_others_closes_only_those_below():
    low, high = version(1, "a", 1), version(9, "i", 7)
    assert decide([low, high], "c", 3, revision=3, live=False) == Addition(3, 7, [low])


def test_a_later_column_leaves_the_fingerprint_of_rows_without_it_alone():
    assert digest(["x", None, 1, None], deleted=False) == digest(["x", None, 1], deleted=False)
    assert digest(["x", None, 1], deleted=False) != digest(["x", 1], deleted=False)
    assert digest(["x"], deleted=False) != digest(["x"], deleted=True)
