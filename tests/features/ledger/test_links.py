from hypothesis import given
from hypothesis import strategies as st

from features.ledger.links import Employment, Facts, Keys, Segment, changes, timeline
from features.schema import FOREVER


def keys(account_id=None, contact_id=None, email_hash=None, domain=None):
    return Keys(account_id, contact_id, email_hash, domain)


def links(found):
    return [(segment.known_at, segment.account_id, segment.contact_id) for segment in found]


FACTS = Facts(
    email_owners={"h": [(20, "c")]},
    domain_owners={"x.org": [(0, "d-owner")]},
    employments={"c": [Employment(3, 1, 3, FOREVER, "old"), Employment(12, 1, 15, FOREVER, "new")]},
)


def test_the_account_that_the_sender_names_comes_first():
    assert links(timeline([(5, keys("a", "c", domain="x.org"))], [], FACTS)) == [(5, "a", "c")]


def test_the_employer_is_the_one_of_then_by_both_clocks():
    assert links(timeline([(2, keys(contact_id="c"))], [], FACTS)) == [(3, "old", "c")]
    assert links(timeline([(13, keys(contact_id="c"))], [], FACTS)) == [(13, "old", "c")]
    assert links(timeline([(15, keys(contact_id="c"))], [], FACTS)) == [(15, "new", "c")]


def test_a_domain_serves_until_the_person_is_known_and_the_account_stays():
    assert links(timeline([(5, keys(email_hash="h", domain="x.org"))], [], FACTS)) == [
        (5, "d-owner", None),
        (20, "d-owner", "c"),
    ]
    assert links(timeline([(5, keys(email_hash="h"))], [], FACTS)) == [(20, "new", "c")]
    assert timeline([(5, keys(email_hash="other"))], [], FACTS) == []


def test_a_correction_that_changes_the_identity_is_resolved_again():
    seen = [(5, keys("a")), (7, keys("a")), (9, keys("b")), (11, keys(email_hash="h")), (30, keys("a"))]
    assert links(timeline(seen, [], FACTS)) == [
        (5, "a", None), (9, "b", None), (11, None, None), (20, "new", "c"), (30, "a", None),
    ]  # fmt: skip


def test_a_link_by_hand_holds_until_the_identity_keys_change():
    hand = [Segment(3, "h", None, by_hand=True)]
    assert links(timeline([(5, keys("a"))], hand, Facts())) == [(3, "h", None)]
    assert links(timeline([(1, keys("a")), (8, keys("b"))], hand, Facts())) == [
        (1, "a", None),
        (3, "h", None),
        (8, "b", None),
    ]


segments = st.lists(
    st.builds(Segment, st.integers(0, 9), st.sampled_from(["a", "b", None]), st.none()), max_size=5
).map(lambda found: timeline([], sorted(found, key=lambda segment: segment.known_at), Facts()))


@given(segments, segments)
def test_further_revisions_make_what_is_visible_what_is_wanted(current, wanted):
    """Visible at a moment is the last given of those known by then."""
    given_ = [*current, *changes(current, wanted)]

    def visible(rows, at):
        return next((row.whose for row in reversed(rows) if row.known_at <= at), (None, None))

    assert [visible(given_, at) for at in range(12)] == [visible(wanted, at) for at in range(12)]
    assert changes(wanted, wanted) == []
