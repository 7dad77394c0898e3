"""What was true of each account before we acted: the confounders that the incremental model adjusts for.

Everything is read just before the journey opened or our first lever touched it, whichever came first: what happens
later may be an effect of our acting, and adjusting for an effect would hide it. Earlier engagement counts through
responses only, touches that the account made by itself; earlier levers are no property of the account.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.agreement import Agreement
from features.algebra import Count, Decayed, Expression, Latest, Recency, Where, where
from features.catalogue import Catalogue
from features.catalogue.declare import feature
from features.feature import Feature
from features.journeys.journeys import Journeys
from features.offline import evaluate
from features.relations import Relations

Floats = npt.NDArray[np.float64]

WINDOW_DAYS = 90
HALF_LIFE_DAYS = 30.0
MOST_VALUES = 30
"""Different values up to which a text fact describes kinds of accounts; with more it names single ones."""

_NUMERIC = 0.95


def confounders(journeys: Journeys, relations: Relations, agreement: Agreement, *, kind: str = "new") -> pa.Table:
    """Return the confounders of each journey.

    Parameters
    ----------
    journeys : Journeys
        n journeys.
    relations : Relations
        As `features.relations.build` gives them.
    agreement : Agreement
        Says which channels are levers and which types of touches are responses whatever their channel.
    kind : str, default="new"
        Kind of business whose stage is meant.

    Returns
    -------
    pyarrow.Table of n rows
        float64, NaN for missing; a text fact has a column of 0 and 1 for each value. Columns that are the same for all
        journeys are left out.
    """
    declared = Catalogue(
        (*_facts(relations.tables["attributes"]), *_engagement(relations.tables["touches"], agreement), _stage(kind))
    )
    if not journeys.size:
        return pa.table({})
    accounts = journeys.journeys["account_id"]
    found = evaluate(relations, accounts.combine_chunks(), before_we_acted(journeys), declared)
    columns = {name: column for one in found.column_names for name, column in _numbers(one, found[one])}
    return pa.table({name: column for name, column in columns.items() if len(np.unique(column)) > 1})


def before_we_acted(journeys: Journeys) -> npt.NDArray[np.int64]:
    """Return the microsecond before each journey opened or its first lever touch, whichever came first; shape (n,)."""
    moment = np.array(journeys.journeys["opened_at"].to_numpy(), dtype=np.int64)
    levers = np.flatnonzero(journeys.is_lever)
    np.minimum.at(moment, journeys.of_touch[levers], journeys.occurred_at[levers])
    return moment - 1


def _facts(attributes: pa.Table) -> list[Feature]:
    found = []
    for field in sorted(attributes["field"].unique().to_pylist()):
        stated = attributes.filter(pc.equal(attributes["field"], field))
        numbers = np.isfinite(np.asarray(stated["number"].to_numpy(zero_copy_only=False), dtype=np.float64))
        if numbers.mean() >= _NUMERIC:
            found.append(_declared(f"fit_{field}", Latest("attributes", "number", where(field=field))))
        elif pc.count_distinct(stated["value"]).as_py() <= MOST_VALUES:
            found.append(_declared(f"fit_{field}", Latest("attributes", "value", where(field=field))))
    return found


def _engagement(touches: pa.Table, agreement: Agreement) -> list[Feature]:
    told = agreement.attribution
    channels = sorted(one for one in touches["channel"].unique().to_pylist() if one and one not in told.levers)
    subjects: dict[str, Where] = {}
    if channels:
        subjects["own"] = where(direction="inbound", channel=tuple(channels))
    if told.response_types:
        subjects["asked"] = where(direction="inbound", touch_type=tuple(told.response_types))
    found = []
    for name, rows in subjects.items():
        found += [
            _declared(f"{name}_touches_{WINDOW_DAYS}d", Count("touches", rows, WINDOW_DAYS)),
            _declared(f"{name}_touches_days_since", Recency("touches", rows, days=WINDOW_DAYS)),
            _declared(f"{name}_touches_decay_{HALF_LIFE_DAYS:g}d", Decayed(HALF_LIFE_DAYS, rows)),
        ]
    return found


def _stage(kind: str) -> Feature:
    return _declared("stage_at_opening", Latest("stages", "stage", where(kind=kind)))


def _declared(name: str, expression: Expression) -> Feature:
    # Nobody reads about these one by one: a name is all they need.
    said = (name, name)
    return feature(name, name, "fit", "", expression, meaning=said, saying=said, absent=said)


def _numbers(name: str, column: pa.ChunkedArray) -> Iterator[tuple[str, Floats]]:
    if not pa.types.is_string(column.type):
        yield name, np.asarray(column.to_numpy(), dtype=np.float64)
        return
    for value in sorted(one for one in column.unique().to_pylist() if one is not None):
        yield f"{name}={value}", pc.equal(column, value).fill_null(False).to_numpy().astype(np.float64)
