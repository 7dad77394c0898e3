"""What was known of accounts before we acted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.simulated_ledger import ledger_tables
from features.agreement import Agreement
from features.journeys import find_journeys
from features.journeys.confounders import before_we_acted, confounders
from features.relations import build
from features.schema import DAY
from features.synthetic import PRESETS, simulate

AGREEMENT = Agreement.load(None)
AS_OF = 20_778 * DAY


@pytest.fixture(scope="module")
def market():
    tables = ledger_tables(simulate(replace(PRESETS["demo"], accounts=120, months=12), 3, AS_OF))
    relations = build(tables, AGREEMENT)
    journeys = find_journeys(tables, relations, AGREEMENT, as_of=AS_OF, lookback_days=0)
    return tables, relations, journeys


def test_the_moment_is_before_the_opening_and_the_first_lever(market):
    _, _, journeys = market
    moment = before_we_acted(journeys)
    assert (moment < journeys.journeys["opened_at"].to_numpy()).all()
    assert (moment[journeys.of_touch[journeys.is_lever]] < journeys.occurred_at[journeys.is_lever]).all()


def test_facts_are_numbers_or_a_column_for_each_value(market):
    _, relations, journeys = market
    found = confounders(journeys, relations, AGREEMENT)
    assert found.num_rows == journeys.size
    of_industry = [name for name in found.column_names if name.startswith("fit_industry=")]
    assert len(of_industry) > 2
    assert set(np.unique(np.column_stack([found[name] for name in of_industry]))) <= {0.0, 1.0}
    assert np.nanmax(found["fit_employees"].to_numpy()) > 10


def test_what_came_later_changes_nothing(market):
    tables, relations, journeys = market
    first = int(np.median(before_we_acted(journeys)))
    touches = tables["account_touches"]
    early = touches.filter(touches["occurred_at"].to_numpy() <= first)
    rows = np.flatnonzero(before_we_acted(journeys) <= first)
    again = confounders(journeys, build({**tables, "account_touches": early}, AGREEMENT), AGREEMENT)
    for name in set(again.column_names) & set(confounders(journeys, relations, AGREEMENT).column_names):
        now = confounders(journeys, relations, AGREEMENT)[name].to_numpy()
        np.testing.assert_array_equal(again[name].to_numpy()[rows], now[rows], err_msg=name)


def test_a_column_that_is_the_same_for_all_is_left_out(market):
    _, relations, journeys = market
    found = confounders(journeys, relations, AGREEMENT)
    assert all(len(np.unique(found[name])) > 1 for name in found.column_names)
