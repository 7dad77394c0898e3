"""Who is in the market: accounts with fit and hidden intent, people with roles and employers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from features.schema import DAY, FOREVER
from features.synthetic.market import Market

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

INDUSTRIES = ("software", "manufacturing", "retail", "logistics", "healthcare", "finance", "education", "energy")
COUNTRIES = ("DE", "FR", "GB", "NL", "ES", "US", "CN", "SE")
REGIONS = ("DACH", "South", "North", "Benelux", "South", "Americas", "Asia", "North")
LANGUAGES = ("de", "fr", "en", "nl", "es", "en", "zh", "sv")
US = COUNTRIES.index("US")
SEGMENTS = ("small", "mid", "enterprise")
SEGMENT_CUTS = (100, 1_000)

_INDUSTRY_SHARE = (0.24, 0.2, 0.12, 0.1, 0.12, 0.12, 0.05, 0.05)
_INDUSTRY_FIT = (0.9, 0.2, -0.3, 0.1, 0.3, 0.7, -1.1, -0.5)
_COUNTRY_SHARE = (0.28, 0.14, 0.13, 0.1, 0.08, 0.17, 0.05, 0.05)
_COUNTRY_FIT = (0.5, 0.0, 0.2, 0.3, -0.4, 0.1, -0.9, 0.2)
_ROLE_SHARE = (0.14, 0.14, 0.18, 0.3, 0.08, 0.08, 0.08)  # in the order of schema.ROLES
_OF_ACCOUNTS = ("created", "industry", "country", "employees", "fit", "intent", "health", "exposure")
_PRESENT_AT_START = 0.55
_MOVERS = 0.03


@dataclass(frozen=True)
class Members:
    """Who works where from when: one row per employment, sorted by account.

    Parameters
    ----------
    first : int array of shape (n_accounts + 1,)
        Rows of account i are ``first[i]`` to ``first[i + 1]``; the first of them never leaves.
    contact, account : int array of shape (n_rows,)
    since, until, known : int array of shape (n_rows,)
        When the employment began and ended, and when we learnt of it, in microseconds.
    """

    first: Ints
    contact: Ints
    account: Ints
    since: Ints
    until: Ints
    known: Ints


@dataclass(frozen=True)
class Population:
    """Accounts and contacts, with what is hidden about them.

    Parameters
    ----------
    start, until : int
        Bounds of the history in microseconds; `start` is a midnight.
    created : int array of shape (n_accounts,)
        When each account was first recorded; before `start` for many.
    industry, country, employees : int array of shape (n_accounts,)
        Positions in `INDUSTRIES` and `COUNTRIES`, and the number of people.
    fit, intent, health, exposure : float array of shape (n_accounts,)
        Hidden: fit and lasting intent in log-odds, health of a later customer, factor on all rates of levers.
    contact_created, role : int array of shape (n_contacts,)
        `role` is a position in `schema.ROLES`.
    members : Members
    """

    start: int
    until: int
    created: Ints
    industry: Ints
    country: Ints
    employees: Ints
    fit: Floats
    intent: Floats
    health: Floats
    exposure: Floats
    contact_created: Ints
    role: Ints
    members: Members

    @property
    def size(self) -> int:
        """Number of accounts."""
        return len(self.created)

    def only(self, rows: npt.NDArray[np.intp]) -> Population:
        """Return the accounts at some rows, without people."""
        none = np.empty(0, dtype=np.int64)
        return replace(
            self,
            **{name: getattr(self, name)[rows] for name in _OF_ACCOUNTS},
            contact_created=none,
            role=none,
            members=Members(np.zeros(len(rows) + 1, dtype=np.int64), none, none, none, none, none),
        )


def populate(market: Market, start: int, until: int, rng: np.random.Generator) -> Population:
    """Draw the accounts and contacts of a market.

    Parameters
    ----------
    market : Market
    start, until : int
        Bounds of the history in microseconds.
    rng : numpy.random.Generator

    Returns
    -------
    Population
    """
    n = market.accounts
    earlier = rng.random(n) < _PRESENT_AT_START
    age = np.where(earlier, -rng.random(n) * 700 * DAY, rng.random(n) * 0.97 * (until - start))
    created = start + age.astype(np.int64)
    industry = rng.choice(len(INDUSTRIES), n, p=_INDUSTRY_SHARE)
    country = rng.choice(len(COUNTRIES), n, p=_COUNTRY_SHARE)
    log_size = np.clip(rng.normal(4.9, 1.4, n), 1.6, 10.6)
    raw = (
        np.take(_INDUSTRY_FIT, industry)
        + np.take(_COUNTRY_FIT, country)
        - 0.35 * ((log_size - 5.6) / 1.2) ** 2
        + rng.normal(0, 0.3, n)
    )
    fit = market.fit_spread * (raw - raw.mean()) / max(raw.std(), 1e-9)
    exposure = np.exp(rng.normal(0, market.exposure_spread, n) + market.targeting * fit)
    employees = np.exp(log_size).astype(np.int64)
    contact_created, role, members = _people(employees, created, until, rng)
    return Population(
        start=start,
        until=until,
        created=created,
        industry=industry,
        country=country,
        employees=employees,
        fit=fit.astype(np.float32),
        intent=rng.normal(0, market.intent_spread, n).astype(np.float32),
        health=rng.normal(0, 1, n).astype(np.float32),
        exposure=exposure.astype(np.float32),
        contact_created=contact_created,
        role=role,
        members=members,
    )


def _people(employees: Ints, created: Ints, until: int, rng: np.random.Generator) -> tuple[Ints, Ints, Members]:
    n = len(created)
    count = 2 + rng.binomial(6, np.clip(0.06 * np.log(employees + 1.0), 0.05, 0.7))
    home = np.repeat(np.arange(n), count)
    leading = np.zeros(len(home), dtype=bool)
    leading[np.cumsum(count) - count] = True
    # The first person is there from the start and stays, so that every touch has somebody to belong to.
    stay = rng.random(len(home)) * (until - created[home]) * 0.8
    joined = created[home] + np.where(leading, 0, stay).astype(np.int64)
    role = rng.choice(len(_ROLE_SHARE), len(home), p=_ROLE_SHARE)
    learnt_late = rng.random(len(home)) < 0.1
    known = joined + (rng.random(len(home)) * np.where(learnt_late, 50 * DAY, DAY / 12)).astype(np.int64)

    mover = np.flatnonzero((rng.random(len(home)) < _MOVERS) & ~leading & (joined < until - 60 * DAY))
    left = joined[mover] + (rng.random(len(mover)) * (until - joined[mover])).astype(np.int64)
    target = rng.integers(0, n, len(mover))
    later = left > created[target]
    mover, left, target = mover[later], left[later], target[later]
    ended = np.full(len(home), FOREVER)
    ended[mover] = left
    account = np.concatenate([home, target])
    order = np.argsort(account, kind="stable")
    members = Members(
        first=np.searchsorted(account[order], np.arange(n + 1)),
        contact=np.concatenate([np.arange(len(home)), mover])[order],
        account=account[order],
        since=np.concatenate([joined, left])[order],
        until=np.concatenate([ended, np.full(len(mover), FOREVER)])[order],
        known=np.concatenate([known, left + (rng.random(len(mover)) * 40 * DAY).astype(np.int64)])[order],
    )
    return joined, role, members
