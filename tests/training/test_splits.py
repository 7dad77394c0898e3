from __future__ import annotations

from datetime import UTC, date, datetime, time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import NotEnoughDataError
from features.schema import DAY
from training.splits import account_split, default_test_from, moments, time_split

ROWS = st.lists(
    st.tuples(st.sampled_from([f"a{n}" for n in range(30)]), st.integers(0, 200), st.booleans()),
    min_size=1,
    max_size=200,
)


def matrix(rows):
    account = np.array([row[0] for row in rows])
    as_of = np.array([row[1] * DAY for row in rows], dtype=np.int64)
    return account, as_of, np.array([row[2] for row in rows], dtype=np.int8)


def micros(year: int, month: int, day: int, hour: int = 0) -> int:
    return int(datetime(year, month, day, hour, tzinfo=UTC).timestamp() * 1_000_000)


@given(rows=ROWS, test_day=st.integers(0, 200), embargo=st.integers(0, 60))
def test_no_outcome_a_training_row_rests_on_reaches_into_the_test_time(rows, test_day, embargo):
    account, as_of, _ = matrix(rows)
    grid = np.arange(test_day, 201, dtype=np.int64) * DAY
    split = time_split(account, as_of, np.arange(201, dtype=np.int64) * DAY, grid, embargo * DAY)
    assert np.all(as_of[split.train] + embargo * DAY < grid.min())
    assert not np.any(split.train & split.test)
    assert split.train.sum() + split.test.sum() + split.purged == len(rows)
    assert set(account[split.unseen]).isdisjoint(account[split.train])
    assert set(account[split.test & ~split.unseen]) <= set(account[split.train])


def test_an_account_split_tests_on_accounts_never_seen():
    account = np.array([f"a{n // 3}" for n in range(60)])
    split = account_split(account, (np.arange(60) % 9 == 0).astype(np.int8), 5, seed=0)
    assert set(account[split.test]).isdisjoint(account[split.train])
    assert np.array_equal(split.unseen, split.test)


def test_the_bpic2012_protocol_has_its_moments():
    start, stop = micros(2012, 1, 15), micros(2012, 2, 13)
    grid = moments(start, stop, 2, (time(9), time(13), time(17)), "UTC", anchor=date(2012, 1, 15))
    assert len(grid) == 45
    assert grid[0] == micros(2012, 1, 15, 9)
    assert grid[-1] == micros(2012, 2, 12, 17)


def test_moments_keep_local_hours_over_a_change_of_summer_time():
    grid = moments(micros(2026, 3, 27), micros(2026, 4, 1), 1, (time(9),), "Europe/Berlin")
    hours = [datetime.fromtimestamp(moment / 1e6, UTC).hour for moment in grid]
    assert hours == [8, 8, 7, 7, 7]


@given(start=st.integers(0, 20_000), length=st.integers(0, 400), every=st.integers(1, 30), more=st.integers(0, 100))
def test_a_grid_does_not_shift_when_data_are_added(start, length, every, more):
    part = moments(start * DAY, (start + length) * DAY, every, (time(0),), "UTC")
    whole = moments((start - more) * DAY, (start + length + more) * DAY, every, (time(0),), "UTC")
    assert [moment for moment in whole if start * DAY <= moment < (start + length) * DAY] == part.tolist()


def test_the_last_share_of_the_time_is_kept_for_the_test():
    grid = np.arange(101, dtype=np.int64) * 7 * DAY
    assert default_test_from(grid, 0.2) == 80 * 7 * DAY


def test_a_split_without_test_moments_says_what_to_do():
    none = np.array([], dtype=np.int64)
    with pytest.raises(NotEnoughDataError, match="No snapshot is left") as caught:
        time_split(np.array(["a"]), np.array([0]), none, none, 0)
    assert "test_from" in caught.value.hint
