from __future__ import annotations

import numpy as np
import pytest

from features.agreement import Goal, Stages
from features.errors import NotEnoughDataError
from models.chain import chained, check_chain, links

STAGES = Stages(("lead", "mql", "sql", "deal", "won"), "lead", ("lost",))


def goal(name, from_, reach, days=30, kind="new"):
    return Goal(name, kind, from_, reach, days, "best")


WON = goal("won_90d", ("lead", "mql", "sql", "deal"), "won", 90)
MQL, SQL = goal("mql_30d", ("lead",), "mql"), goal("sql_30d", ("lead", "mql"), "sql")
RATES = {"mql_30d": 0.5, "sql_30d": 0.4, "won_90d": 0.25}
SAID = {"mql_30d": [0.6, 0.6, 0.6, 0.6], "sql_30d": [0.3, 0.3, 0.3, 0.3]}


def test_the_links_are_the_earlier_goals_of_the_kind_by_stage():
    longer, other = goal("sql_60d", ("lead", "mql"), "sql", 60), goal("renewed", ("lead",), "sql", 90, "renewal")
    assert links(WON, [SQL, other, WON, longer, MQL], STAGES) == (MQL, longer)


def test_the_nearest_link_speaks_and_the_later_rates_multiply():
    found = chained(["lead", "mql", "sql", None], SAID, RATES, WON, (MQL, SQL), STAGES)
    assert found == pytest.approx([0.6 * 0.4 * 0.25, 0.3 * 0.25, np.nan, np.nan], nan_ok=True)


def test_a_link_that_does_not_ask_from_a_stage_has_no_answer():
    narrow = goal("sql_30d", ("lead",), "sql")
    assert np.isnan(chained(["mql"], {"sql_30d": [0.3]}, RATES, WON, (narrow,), STAGES)).all()


def test_the_check_compares_the_rows_that_both_answer():
    y, chain, direct = [0, 1, 0, 1], [0.2, 0.6, np.nan, 0.9], [0.1, 0.5, 0.9, 0.8]
    found = check_chain(y, chain, direct)
    assert found.rows == 3
    assert [found.observed, found.correlation] == pytest.approx([2 / 3, 1.0])
    assert found.brier_chain == pytest.approx((0.04 + 0.16 + 0.01) / 3)
    assert found.brier_direct == pytest.approx((0.01 + 0.25 + 0.04) / 3)
    assert [found.mean_chain, found.mean_direct] == pytest.approx([1.7 / 3, 1.4 / 3])


def test_without_a_chain_there_is_nothing_to_check():
    with pytest.raises(NotEnoughDataError, match="no chain to check"):
        check_chain([0, 1], [np.nan, np.nan], [0.1, 0.2])
    assert np.isnan(check_chain([0, 1], [0.3, 0.3], [0.1, 0.2]).correlation)
