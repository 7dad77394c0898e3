"""Costs and returns: what is missing stays missing, and what is uncertain has an interval."""

import json
import math

import numpy as np
import pytest

from models.attribution.intervals import Replicates
from models.attribution.returns import Gap, returns
from models.attribution.stop_list import stop_list


def drawn(seed=0, **given):
    """Return replicates with a normal error: value and standard error by label."""
    random = np.random.default_rng(seed)
    value = np.array([value for value, _ in given.values()], dtype=float)
    error = np.array([error for _, error in given.values()], dtype=float)
    return Replicates(tuple(given), value, value + error * random.standard_normal((400, len(value))))


def only(cost, won=(10, 1), revenue=None):
    money = {currency: drawn(Event=amount) for currency, amount in (revenue or {}).items()}
    [found] = returns({} if cost is None else {"Event": cost}, {"won": drawn(Event=won)}, money)
    return found


def test_a_cost_per_conversion_lies_in_the_bounds_of_the_credit():
    found = only({"EUR": 1_000})
    assert found.acquisition_cost.value == 100
    low, high = found.credited["won"].bounds
    assert found.acquisition_cost.bounds == (1_000 / high, 1_000 / low)


def test_the_return_is_revenue_over_cost_and_the_gain_is_one_less():
    found = only({"EUR": 1_000}, revenue={"EUR": (3_000, 100)})
    assert (found.roas.value, found.roi.value, found.losing) == (3.0, 2.0, 0.0)
    assert found.roas.bounds[0] - 1 == pytest.approx(found.roi.bounds[0])


def test_the_probability_of_losing_is_a_half_where_revenue_is_the_cost():
    assert only({"EUR": 1_000}, revenue={"EUR": (1_000, 300)}).losing == pytest.approx(0.5, abs=0.07)


def test_a_missing_cost_is_seen_and_never_0():
    found = only(None, revenue={"EUR": (3_000, 1)})
    assert (found.cost, found.acquisition_cost, found.roas, found.losing) == ({}, None, None, None)
    assert found.gaps == (Gap.NO_COST,)
    assert found.document()["costMissing"] is True


def test_a_cost_of_0_is_one_and_has_no_return_on_it():
    found = only({"EUR": 0}, revenue={"EUR": (3_000, 1)})
    assert (found.acquisition_cost.value, found.roas) == (0, None)
    assert found.gaps == (Gap.FREE,)


def test_a_cost_without_credit_has_lost_all_of_it():
    [found] = returns({"Event": {"EUR": 5}}, {"won": drawn(Email=(3, 1))}, {"EUR": drawn(Email=(9, 1))})[1:]
    assert found.roas is not None
    assert (found.name, found.acquisition_cost, found.roas.value, found.losing) == ("Event", None, 0, 1.0)
    assert found.gaps == (Gap.NO_CREDIT,)


@pytest.mark.parametrize(
    ("cost", "revenue", "gap"),
    [
        ({"EUR": 5, "CHF": 5}, {"EUR": (9, 1)}, Gap.TWO_CURRENCIES),
        ({"EUR": 5}, {"EUR": (9, 1), "CHF": (9, 1)}, Gap.OTHER_CURRENCY),
        ({"EUR": 5}, {"CHF": (9, 1)}, Gap.OTHER_CURRENCY),
        ({"EUR": -5}, {"EUR": (9, 1)}, Gap.NEGATIVE),
    ],
)
def test_what_can_not_be_compared_has_no_return_and_says_why(cost, revenue, gap):
    found = only(cost, revenue=revenue)
    assert found.roas is found.losing is None
    assert found.gaps == (gap,)


def test_deals_without_an_amount_have_no_return_rather_than_one_of_0():
    unpriced = drawn(Event=(10, 1))
    [found] = returns({"Event": {"EUR": 5}}, {"won": drawn(Event=(10, 1))}, {"EUR": drawn(Event=(0, 0))}, unpriced)
    assert (found.roas, found.roi, found.losing) == (None, None, None)
    assert found.gaps == (Gap.NO_AMOUNT,)
    assert found.acquisition_cost is not None
    assert found.acquisition_cost.value == 0.5


def test_where_some_amounts_are_missing_the_return_is_said_to_be_the_least():
    unpriced = drawn(Event=(1, 0), Email=(0, 0))
    credited = {"won": drawn(Event=(10, 1), Email=(10, 1))}
    cost = {"Event": {"EUR": 5}, "Email": {"EUR": 5}}
    email, event = returns(cost, credited, {"EUR": drawn(Event=(9, 1), Email=(9, 1))}, unpriced)
    assert event.roas is not None
    assert (event.roas.value, event.gaps) == (1.8, (Gap.SOME_AMOUNTS,))
    assert email.gaps == ()


def test_credit_that_may_be_none_costs_without_bound_and_is_null_in_json():
    found = only({"EUR": 1_000}, won=(1, 2))
    assert found.acquisition_cost.high == math.inf
    assert json.loads(json.dumps(found.document(), allow_nan=False))["costPer"]["won"]["high"] is None


def test_what_no_channel_is_given_is_not_a_channel():
    credited = Replicates(("Event", "(baseline)"), np.array([1.0, 2.0]), np.ones((5, 2)))
    assert [found.name for found in returns({}, {"won": credited}, {})] == ["Event"]


@pytest.fixture
def verdicts():
    """Return verdicts by channel, and their order."""
    cost = {"Event": {"EUR": 900}, "Search": {"EUR": 900}, "Email": {"EUR": 5}, "Partner": {"CHF": 5}}
    effect = drawn(Event=(0.2, 1), Search=(10, 3), Email=(4, 1), Partner=(5, 1), Call=(1, 2))
    found = stop_list(cost, effect, [*cost, "Call", "Fax"], worth=100, currency="EUR", leads=drawn(1, Event=(50, 5)))
    return {verdict.channel: verdict for verdict in found}


def test_the_likeliest_loser_comes_first_and_what_has_no_cost_last(verdicts):
    assert list(verdicts)[:3] == ["Event", "Search", "Email"]
    assert [verdict.losing for verdict in verdicts.values()][3:] == [None, None, None]
    assert verdicts["Search"].losing == pytest.approx(0.37, abs=0.08)


def test_a_fair_that_brings_leads_but_no_customers_is_named(verdicts):
    assert verdicts["Event"].words == (
        "Brings leads, but no customers that can be told from none. Stop: very likely below its cost."
    )
    assert verdicts["Email"].words == "Brings customers. Keep: more likely above its cost than below."


def test_a_cost_that_is_missing_or_in_another_currency_is_said(verdicts):
    assert verdicts["Call"].words.startswith("Cost missing. No effect")
    assert verdicts["Partner"].words.startswith("Cost not in EUR. Brings customers")
    assert verdicts["Fax"].brought.value == 0


def test_a_conversion_must_be_worth_something():
    with pytest.raises(ValueError, match=r"above 0, in minor units of EUR\. Got 0"):
        stop_list({}, drawn(Event=(1, 1)), ["Event"], worth=0, currency="EUR")
