"""The relations ``attributes`` and ``members``: who the account is, and who works there."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from features.relations.columns import Codes, latest_facts, leading
from features.relations.contacts import ContactSpans, filled


def attribute_rows(attributes: pa.Table, account: Codes) -> pa.Table:
    """Return the relation ``attributes``: each fact of an account while it was the latest known one."""
    rows = np.flatnonzero(account >= 0)
    facts = attributes.take(rows)
    found = [
        (code, span[0], span[1], span[2], field, value)
        for code, field, value, span in latest_facts(facts, account[rows].tolist())
    ]
    found.sort(key=lambda row: (row[0], row[3], row[4], row[1]))
    columns = leading(found)
    columns["field"] = pa.array([row[4] for row in found], pa.string())
    columns["value"] = pa.array([row[5] for row in found], pa.string())
    columns["number"] = pa.array([_number(row[5]) for row in found], pa.float64())
    return pa.table(columns)


def member_rows(attributes: pa.Table, contacts: ContactSpans, account_ids: Sequence[str]) -> pa.Table:
    """Return the relation ``members``: the people of each account with their role over time."""
    codes = {account_id: code for code, account_id in enumerate(account_ids)}
    found = []
    for person, employers in contacts.employers.items():
        for employer in employers:
            code = codes.get(employer.value) if employer.value is not None else None
            if code is None:
                continue
            for role, start, end in filled(contacts.roles.get(person, []), employer.valid_from, employer.valid_until):
                found.append((code, start, end, employer.occurred_at, person, role or "unknown"))
    found.sort(key=lambda row: (row[0], row[3], row[4], row[1]))
    columns = leading(found)
    columns["contact_id"] = pa.array([row[4] for row in found], pa.string())
    columns["role"] = pa.array([row[5] for row in found], pa.string())
    return pa.table(columns)


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value is not None else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None
