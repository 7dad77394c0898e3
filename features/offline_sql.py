"""The range join of pairs with rows, and the atoms that take more than one pass, as SQL.

Only SUM, COUNT, MIN and MAX of CASE, CAST, equi-joins, range conditions, GROUP BY and integer epochs are used, and
ROW_NUMBER and LAG for the median gap between deals: a subset that DuckDB, Spark and warehouses read alike. Texts arrive
as integers (`Codes` for those that filters compare with, a dictionary's for those that are told apart).

For each relation, ``seen_<relation>`` holds one row for every pair and row visible to it: ``pair``, ``age``
(microseconds from ``occurred_at`` to ``as_of``), ``as_of``, ``line`` (the row's number, ascending in time), ``cell``
(see `features.offline_spread`) and the columns that atoms read.

What takes one pass over these rows (counts, sums, decays, recencies, latest rows) is left to `features.offline_spread`:
the engine would make a group of nearly every row, and some hundred CASEs a row cost several times as much.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from features.algebra import (
    LOOKBACK_DAYS,
    RELATIONS,
    Atom,
    Cadence,
    Distinct,
    Gap,
    Mean,
    Recency,
    Sum,
    TopShare,
    Waiting,
    Where,
    window_days,
)
from features.offline_spread import PLAIN
from features.schema import DAY

_MICROS = f"{DAY}.0e0"
_HOURS = f"{DAY // 24}.0e0"


@dataclass(frozen=True)
class Codes:
    """Integers that stand for the texts compared in filters, per column of a relation; 0 is any other text.

    Parameters
    ----------
    values : mapping of str to tuple of str
        Column to the texts with codes 1, 2, ...
    """

    values: Mapping[str, tuple[str, ...]]

    def wanted(self, where: Where) -> dict[str, list[int]]:
        """Return, per column of a filter, the codes it lets pass."""
        return {name: sorted(self.values[name].index(value) + 1 for value in texts) for name, texts in where.terms}

    def condition(self, where: Where) -> str:
        """Return a filter as SQL over the columns ``f_<name>``; empty when everything passes."""
        return " AND ".join(
            f"f_{name} IN ({', '.join(map(str, numbers))})" for name, numbers in self.wanted(where).items()
        )


@dataclass(frozen=True)
class Single:
    """A query with a row per pair: ``pair`` and the value of each of some atoms, ``c0``, ``c1``, ..."""

    sql: str
    places: tuple[int, ...]


def codes(atoms: Iterable[Atom], relation: str) -> Codes:
    """Return the codes of every text that a filter over the relation compares with."""
    values: dict[str, dict[str, None]] = {}
    for atom in atoms:
        if atom.of == relation:
            for name, wanted in atom.where.terms:
                values.setdefault(name, {}).update(dict.fromkeys(wanted))
    return Codes({name: tuple(found) for name, found in values.items()})


def columns(atoms: Iterable[Atom], relation: str) -> list[str]:
    """Return the columns of a relation, beyond the filters', that its atoms read per row."""
    found: dict[str, None] = {}
    for atom in atoms:
        if atom.of == relation:
            if isinstance(atom, Sum | Mean | Distinct | TopShare):
                found[atom.column] = None
            elif isinstance(atom, Recency | Cadence) and atom.at != "occurred_at":
                found[atom.at] = None
    return list(found)


def seen(relation: str, atoms: Sequence[Atom], filters: Codes) -> str:
    """Return the query behind ``seen_<relation>``: the range join of pairs with the relation's rows."""
    lookback = f" AND r.occurred_at > p.as_of - {LOOKBACK_DAYS * DAY}" if relation == "touches" else ""
    compared = {
        name for atom in atoms if atom.of == relation and not isinstance(atom, PLAIN) for name in atom.where.columns()
    }
    picked = [f"r.f_{name}" for name in filters.values if name in compared]
    for name in columns(atoms, relation):
        picked.append(f"p.as_of - r.{name} AS {name}_age" if name in RELATIONS[relation]["time"] else f"r.{name}")
    more = "".join(f", {column}" for column in picked)
    return (
        f"SELECT p.pair, p.as_of, p.as_of - r.occurred_at AS age, r.line, r.cell{more} FROM pairs p JOIN {relation} r "
        f"ON r.account = p.account AND r.valid_from <= p.as_of AND p.as_of < r.valid_until{lookback}"
    )


def queries(atoms: Sequence[Atom], filters: Mapping[str, Codes]) -> list[Single]:
    """Return the queries that give the atoms which take more than one pass over the rows.

    Parameters
    ----------
    atoms : sequence of Atom
        Their position is their place.
    filters : mapping of str to Codes
        Per relation.
    """
    told_apart: dict[tuple[str, Where, str], list[tuple[int, Distinct | TopShare]]] = {}
    found: list[Single] = []
    for place, atom in enumerate(atoms):
        if isinstance(atom, Distinct | TopShare):
            told_apart.setdefault((atom.of, atom.where, atom.column), []).append((place, atom))
        elif isinstance(atom, Gap | Waiting):
            found.append(_replies(place, atom, filters["touches"]))
        elif isinstance(atom, Cadence):
            found.append(_cadence(place, atom, filters[atom.of]))
    for (relation, where, column), group in told_apart.items():
        found.append(_values(relation, where, column, group, filters[relation]))
    return found


def _values(
    relation: str, where: Where, column: str, atoms: Sequence[tuple[int, Distinct | TopShare]], filters: Codes
) -> Single:
    """Count in two steps: per pair and value, then per pair."""
    widest = [_within(atom) for _, atom in atoms]
    bounds = [] if "" in widest else [max(widest, key=len)] if len(set(widest)) == 1 else []
    condition = " AND ".join([*filter(None, [filters.condition(where)]), f"{column} IS NOT NULL", *bounds])
    inner = {"MIN(age)": "youngest"}
    outer = []
    for _, atom in atoms:
        within = _within(atom)
        if isinstance(atom, Distinct):
            outer.append(f"COUNT({_when(within.replace('age', 'youngest'), '1')})")
        else:
            tally = inner.setdefault(f"COUNT({_when(within, '1')})", f"n{len(inner)}")
            outer.append(f"CASE WHEN SUM({tally}) > 0 THEN MAX({tally}) / CAST(SUM({tally}) AS DOUBLE) END")
    per_value = ", ".join(f"{expression} AS {name}" for expression, name in inner.items())
    per_pair = ", ".join(f"{expression} AS c{number}" for number, expression in enumerate(outer))
    return Single(
        f"SELECT pair, {per_pair} FROM (SELECT pair, {column}, {per_value} FROM seen_{relation} "
        f"WHERE {condition} GROUP BY pair, {column}) v GROUP BY pair",
        tuple(place for place, _ in atoms),
    )


def _replies(place: int, atom: Gap | Waiting, filters: Codes) -> Single:
    condition = " AND ".join(filter(None, (filters.condition(atom.where), _within(atom))))
    asked = f"SELECT pair, line, age, as_of FROM seen_touches{f' WHERE {condition}' if condition else ''}"
    answers = "answers a ON a.touch = q.line AND a.valid_from <= q.as_of AND q.as_of < a.valid_until"
    if isinstance(atom, Waiting):
        return Single(
            f"SELECT q.pair, MAX(q.age) / {_MICROS} AS c0 FROM ({asked}) q LEFT JOIN {answers} "
            "WHERE a.touch IS NULL GROUP BY q.pair",
            (place,),
        )
    first = (
        "SELECT q.pair, q.line, MIN(q.age) AS age, MAX(q.as_of - a.answered_at) AS answer_age "
        f"FROM ({asked}) q JOIN {answers} GROUP BY q.pair, q.line"
    )
    wait = "CASE WHEN age > answer_age THEN age - answer_age ELSE 0 END"
    return Single(
        f"SELECT pair, CAST(SUM({wait}) AS DOUBLE) / COUNT(*) / {_HOURS} AS c0 FROM ({first}) w GROUP BY pair", (place,)
    )


def _cadence(place: int, atom: Cadence, filters: Codes) -> Single:
    age = "age" if atom.at == "occurred_at" else f"{atom.at}_age"
    condition = filters.condition(atom.where)
    rows = f"FROM seen_{atom.of}{f' WHERE {condition}' if condition else ''}"
    gaps = f"SELECT pair, {age} - LAG({age}) OVER (PARTITION BY pair ORDER BY {age}) AS gap {rows}"
    middle = "CASE WHEN 2 * place >= gaps AND 2 * place <= gaps + 2 THEN CAST(gap AS DOUBLE) END"
    return Single(
        f"SELECT pair, AVG({middle}) / {_MICROS} AS c0 FROM ("
        "SELECT g.pair, g.gap, n.gaps, ROW_NUMBER() OVER (PARTITION BY g.pair ORDER BY g.gap) AS place "
        f"FROM ({gaps}) g JOIN (SELECT pair, COUNT(*) - 1 AS gaps {rows} GROUP BY pair) n ON n.pair = g.pair "
        "WHERE g.gap IS NOT NULL) ranked GROUP BY pair",
        (place,),
    )


def _within(atom: Atom) -> str:
    """Return the window of an atom as a condition on age; the look-back of touches is in ``seen_touches``."""
    days = window_days(atom)
    if days is None or (atom.of == "touches" and days == LOOKBACK_DAYS):
        return ""
    return f"age < {int(days * DAY)}"


def _when(condition: str, then: str) -> str:
    return f"CASE WHEN {condition} THEN {then} END" if condition else then
