"""What the algebra refuses to declare."""

from __future__ import annotations

import pytest

from features.algebra import Count, Expression, Latest, Mean, Ratio, Sum, check, where
from features.errors import AgreementError


@pytest.mark.parametrize(
    ("expression", "got"),
    [
        (Sum("touches", "cost"), "Got none."),
        (Mean("touches", "cost", where(channel="Event")), "Got none."),
        (Sum("touches", "cost", where(currency=("EUR", "USD"))), "Got EUR, USD."),
        (Ratio(Count("touches"), Sum("touches", "cost")), "Got none."),
    ],
)
def test_costs_are_never_added_across_currencies(expression: Expression, got: str) -> None:
    with pytest.raises(AgreementError, match=r"'spent'.*exactly one") as caught:
        check(expression, name="spent")
    assert got in str(caught.value)


@pytest.mark.parametrize(
    "expression",
    [Sum("touches", "cost", where(currency="EUR")), Latest("touches", "cost"), Sum("deals", "amount")],
)
def test_money_of_one_currency_may_be_added(expression: Expression) -> None:
    check(expression, name="spent")
