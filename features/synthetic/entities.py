"""Accounts, contacts and their dated attributes as rows of the contract."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from features.schema import DAY, ROLES
from features.synthetic.columns import Column, account_ids, contact_ids, entity_table, fact_table, pick
from features.synthetic.market import Market
from features.synthetic.population import (
    COUNTRIES,
    INDUSTRIES,
    LANGUAGES,
    REGIONS,
    SEGMENT_CUTS,
    SEGMENTS,
    Ints,
    Population,
)

_HEADS = ("Al", "Bel", "Cor", "Dan", "El", "Fen", "Gal", "Hal", "Is", "Jor", "Kel", "Lum", "Mar", "Nor", "Or", "Pel")
_MIDDLES = ("a", "e", "i", "o", "u", "an", "en", "in", "on", "ar", "er", "or", "al", "el", "il", "ol")
_TAILS = (
    "bach", "co", "dal", "fax", "gon", "lex", "mont", "nova", "plan", "rix", "sys", "tec", "ton", "vex", "work", "zen",
)  # fmt: skip
_SENIORITIES = ("director", "manager", "specialist", "officer")
_ENRICHED_LATE = 0.12
_REGROUPED = 0.01


def entities(
    people: Population, rng: np.random.Generator, reports: Sequence[Mapping[str, Column]] = ()
) -> dict[str, pa.Table]:
    """Return the tables `accounts`, `contacts` and `attributes`.

    Parameters
    ----------
    people : Population
    rng : numpy.random.Generator
    reports : sequence of mapping of str to column
        Further pieces of `attributes`.

    Returns
    -------
    dict of str to pyarrow.Table
    """
    n, m = people.size, len(people.role)
    names = company_names(n)
    parent = np.where(rng.random(n) < 0.04, rng.integers(0, n, n), -1)
    parent[parent == np.arange(n)] = -1
    accounts: dict[str, Column] = {
        "account_id": account_ids(np.arange(n)),
        "name": pa.array(names),
        "domain": domains(n),
        "parent_id": account_ids(parent),
        "created_at": people.created,
    }
    contacts: dict[str, Column] = {
        "contact_id": contact_ids(np.arange(m)),
        "email_hash": email_hashes(m),
        "created_at": people.contact_created,
    }
    return {
        "accounts": entity_table("accounts", accounts, n),
        "contacts": entity_table("contacts", contacts, m),
        "attributes": fact_table(
            "attributes", [*_stated(people, rng), *_personal(people, rng), *reports], people.until
        ),
    }


def intent_reports(
    market: Market, people: Population, signals: dict[str, Ints], rng: np.random.Generator
) -> dict[str, Column]:
    """Return what a vendor said about the intent of every account each month: a piece of the table `attributes`.

    Parameters
    ----------
    market : Market
    people : Population
    signals : dict of str to array
        As in `features.synthetic.history.COLUMNS`.
    rng : numpy.random.Generator

    Returns
    -------
    dict of str to column
        Field `third_party_intent`: mean 50, standard deviation 20, of the correlation `market.proxy` with the intent.
    """
    known = people.created[signals["account"]] <= signals["at"]
    account, at = signals["account"][known], signals["at"][known]
    spread = np.hypot(market.intent_spread, market.intent_drift)
    noise = np.sqrt(1 - market.proxy**2) * rng.standard_normal(len(at))
    shown = np.round(50 + 20 * (market.proxy * signals["intent"][known] / spread + noise), 1)
    # The vendor's file comes on the second or third of the month.
    received = at + DAY + (rng.random(len(at)) * DAY).astype(np.int64)
    value = pa.array(shown).cast(pa.string())
    return _facts("account", "third_party_intent", account_ids(account), at, value, received) | {"set_by": "vendor"}


def company_names(n: int) -> list[str]:
    """Return n different invented names, in an order without a pattern."""
    combinations = len(_HEADS) * len(_MIDDLES) * len(_TAILS)
    names = []
    for code in range(n):
        # A step that shares no factor with the number of combinations visits each of them once.
        mixed = (code * 2_531) % combinations
        head, rest = divmod(mixed, len(_MIDDLES) * len(_TAILS))
        middle, tail = divmod(rest, len(_TAILS))
        series = code // combinations
        names.append(_HEADS[head] + _MIDDLES[middle] + _TAILS[tail] + (f" {series + 1}" if series else ""))
    return names


def domains(n: int) -> pa.Array:
    """Return one internet domain per account; they are under a top-level domain that can not exist."""
    return pa.array([name.lower().replace(" ", "-") + ".example" for name in company_names(n)])


def email_hashes(m: int) -> pa.Array:
    """Return one hash per contact, of the form a ledger keeps; there is no address behind it."""
    return pa.array([hashlib.sha256(b"simulated contact %d" % code).hexdigest() for code in range(m)], pa.string())


def _stated(people: Population, rng: np.random.Generator) -> list[dict[str, Column]]:
    n = people.size
    segment = np.searchsorted(SEGMENT_CUTS, people.employees, side="right")
    revenue = (people.employees * 180_000 * np.exp(rng.normal(0, 0.5, n))).astype(np.int64)
    fields: list[tuple[str, pa.Array, float]] = [
        ("industry", pick(INDUSTRIES, people.industry), 0.08),
        ("employees", pa.array(people.employees).cast(pa.string()), 0.15),
        ("segment", pick(SEGMENTS, segment), 0.15),
        ("country", pick(COUNTRIES, people.country), 0.03),
        ("region", pick(REGIONS, people.country), 0.03),
        ("language", pick(LANGUAGES, people.country), 0.3),
        ("annual_revenue", pa.array(revenue).cast(pa.string()), 0.55),
    ]
    wrong = rng.random(n) < _REGROUPED
    pieces = []
    for name, value, missing in fields:
        rows = np.flatnonzero(rng.random(n) >= missing)
        late = rng.random(len(rows)) < _ENRICHED_LATE
        delay = np.where(late, rng.random(len(rows)) * 120 * DAY, rng.random(len(rows)) * DAY / 24).astype(np.int64)
        known = people.created[rows] + delay
        shown = value.take(pa.array(rows))
        if name == "industry":
            first_guess = pick(INDUSTRIES, (people.industry + 1) % len(INDUSTRIES)).take(pa.array(rows))
            shown = pa.array(np.where(wrong[rows], first_guess, shown), pa.string())
        pieces.append(_facts("account", name, account_ids(rows), people.created[rows], shown, known))
        if name == "industry":
            mended = rows[wrong[rows]]
            again = known[wrong[rows]] + (rng.random(len(mended)) * 200 * DAY).astype(np.int64)
            right, since = value.take(pa.array(mended)), people.created[mended]
            pieces.append(_facts("account", name, account_ids(mended), since, right, again, revision=2))
    return pieces + _growth(people, rng)


def _growth(people: Population, rng: np.random.Generator) -> list[dict[str, Column]]:
    rows = np.flatnonzero(rng.random(people.size) < 0.12)
    opened = np.maximum(people.created[rows], people.start)
    when = opened + (rng.random(len(rows)) * (people.until - opened)).astype(np.int64)
    known = when + (rng.random(len(rows)) * 20 * DAY).astype(np.int64)
    size = (people.employees[rows] * np.exp(rng.normal(0.15, 0.2, len(rows)))).astype(np.int64)
    segment = np.searchsorted(SEGMENT_CUTS, size, side="right")
    return [
        _facts("account", "employees", account_ids(rows), when, pa.array(size).cast(pa.string()), known),
        _facts("account", "segment", account_ids(rows), when, pick(SEGMENTS, segment), known),
    ]


def _personal(people: Population, rng: np.random.Generator) -> list[dict[str, Column]]:
    m, members = len(people.role), people.members
    employer = account_ids(members.account)
    pieces = [_facts("contact", "employer", contact_ids(members.contact), members.since, employer, members.known)]
    seniority = np.where(people.role == ROLES.index("decision_maker"), 0, rng.integers(1, len(_SENIORITIES), m))
    for name, value, missing in (
        ("role", pick(ROLES, people.role), 0.12),
        ("seniority", pick(_SENIORITIES, seniority), 0.4),
    ):
        rows = np.flatnonzero(rng.random(m) >= missing)
        late = rng.random(len(rows)) < 0.2
        created = people.contact_created[rows]
        # Half of what is learnt late is also dated late: it was stated then, not found out about the past.
        stated_late = late & (rng.random(len(rows)) < 0.5)
        when = created + (np.where(stated_late, rng.random(len(rows)) * 90, 0) * DAY).astype(np.int64)
        known = when + (np.where(late, rng.random(len(rows)) * 60, rng.random(len(rows)) * 0.1) * DAY).astype(np.int64)
        pieces.append(_facts("contact", name, contact_ids(rows), when, value.take(pa.array(rows)), known))
    return pieces


def _facts(
    entity: str, field: str, ids: pa.Array, when: Ints, value: pa.Array, known: Ints, *, revision: int = 1
) -> dict[str, Column]:
    return {
        "entity": entity, "id": ids, "field": field, "occurred_at": when, "value": value, "set_by": "import",
        "revision": revision, "known_at": known,
    }  # fmt: skip
