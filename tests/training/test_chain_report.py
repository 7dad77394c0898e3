from __future__ import annotations

import dataclasses

import numpy as np

from tests.training.conftest import hand_made
from training.chain_report import new_to_all


def begins(data, later):
    """Return the data set with a test that begins at its test moment of a number."""
    moments = np.unique(data.as_of[data.split.test])
    return dataclasses.replace(data, split=dataclasses.replace(data.split, test_from=int(moments[later])))


def test_a_chain_is_checked_where_none_of_its_models_was_taught():
    direct = hand_made(300, 120)
    link = begins(hand_made(300, 120), 4)
    found = new_to_all(direct, [begins(direct, 2), link])
    assert direct.as_of[found].min() == link.split.test_from
    assert np.array_equal(found, direct.split.test & (direct.as_of >= link.split.test_from))


def test_models_that_are_taught_until_the_end_leave_nothing_to_check_on():
    direct = hand_made(300, 120)
    ended = dataclasses.replace(direct.split, test_from=int(direct.as_of.max()) + 1)
    assert not new_to_all(direct, [dataclasses.replace(direct, split=ended)]).any()


def test_accounts_that_taught_a_link_do_not_check_the_chain():
    direct = hand_made(300, 120)
    dealt = dataclasses.replace(direct, split=dataclasses.replace(direct.split, test_from=None))
    found = new_to_all(direct, [dealt])
    assert 0 < found.sum() < direct.split.test.sum()
    assert set(direct.account_id[found]).isdisjoint(direct.account_id[direct.split.train])
