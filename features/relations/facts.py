"""The relations ``attributes`` and ``members``: who the account is, and who works there."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.relations.columns import Codes, encoded, ints, latest_facts, ranks
from features.relations.contacts import Roles


def attribute_rows(attributes: pa.Table, account: Codes) -> pa.Table:
    """Return the relation ``attributes``: each fact of an account while it was the latest known one."""
    own = attributes.append_column("account", pa.array(account)).filter(pa.array(account >= 0))
    facts, start, end = latest_facts(own)
    order = np.lexsort((start, ranks(facts["field"]), ints(facts, "occurred_at"), ints(facts, "account")))
    facts = facts.take(order)
    code, values = encoded(facts["value"])
    numbers = np.array([*(_number(value) for value in values.to_pylist()), math.nan])
    return pa.table(
        {
            "account": facts["account"],
            "valid_from": pa.array(start[order]),
            "valid_until": pa.array(end[order]),
            "occurred_at": facts["occurred_at"],
            "field": facts["field"],
            "value": facts["value"],
            "number": pa.array(numbers[code], from_pandas=True),
        }
    )


def member_rows(attributes: pa.Table, roles: Roles, account_ids: Sequence[str]) -> pa.Table:
    """Return the relation ``members``: the people of each account with their role over time."""
    stated = pc.and_(pc.equal(attributes["entity"], "contact"), pc.equal(attributes["field"], "employer"))
    facts, start, end = latest_facts(attributes.filter(stated))
    account = pc.index_in(facts["value"], pa.array(account_ids, pa.string()))
    rows = np.flatnonzero(account.is_valid().to_numpy())
    facts, account = facts.take(rows), account.take(pa.array(rows))
    row, start, end, role = roles.over(facts["id"], start[rows], end[rows])
    facts, account = facts.take(row), np.asarray(account.take(pa.array(row)).to_numpy(), dtype=np.int32)
    order = np.lexsort((start, ranks(facts["id"]), ints(facts, "occurred_at"), account))
    return pa.table(
        {
            "account": pa.array(account[order]),
            "valid_from": pa.array(start[order]),
            "valid_until": pa.array(end[order]),
            "occurred_at": facts["occurred_at"].take(order),
            "contact_id": facts["id"].take(order),
            "role": role.take(pa.array(order)),
        }
    )


def _number(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan
