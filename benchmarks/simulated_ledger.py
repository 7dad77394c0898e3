"""What a ledger would hold of a simulated market, without the hours of taking eleven of them in.

Revisions and links are resolved in a few vectorised lines, by the rules of `features.ledger` as far as these markets
need them: an account that is named, else the employer of the person as known then, else the owner of the domain, else
what `touch_links` says later.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.schema import FOREVER, TABLES
from features.synthetic import Simulation

Ints = npt.NDArray[np.int64]


def ledger_tables(simulation: Simulation) -> dict[str, pa.Table]:
    """Return the tables of a simulated market as `Ledger.tables` gives them.

    Parameters
    ----------
    simulation : Simulation

    Returns
    -------
    dict of str to pyarrow.Table
    """
    given = simulation.tables
    versions = {name: _versions(name, given[name]) for name in ("deals", "stage_changes", "attributes", "fx_rates")}
    touches = _versions("touchpoints", given["touchpoints"])
    account, contact, since = _links(simulation, touches)
    known_from = np.maximum(touches["known_at"].to_numpy(), since)
    columns = {name: touches[name] for name in TABLES["touchpoints"].names}
    columns |= {"account_id": account, "contact_id": contact, "known_from": pa.array(known_from)}
    columns |= {name: touches[name] for name in ("known_until", "known_at_origin", "ledger_seq")}
    linked = pc.and_(pc.is_valid(account), pc.less(columns["known_from"], columns["known_until"]))
    accounts = pa.table({name: given["accounts"][name] for name in TABLES["accounts"].names})
    return versions | {"account_touches": pa.table(columns).filter(linked), "accounts": accounts}


def _versions(name: str, table: pa.Table) -> pa.Table:
    """Return each revision once, with the time at which the next one replaces it, those taken back left out."""
    keys = TABLES[name].key
    order = [(key, "ascending") for key in (*keys, "revision", "known_at")]
    rows = table.take(pc.sort_indices(table, sort_keys=order)).combine_chunks()
    same = np.ones(max(rows.num_rows - 1, 0), dtype=bool)
    for key in keys:
        codes = pc.dictionary_encode(rows[key].combine_chunks()).indices.to_numpy(zero_copy_only=False)
        same &= codes[1:] == codes[:-1]
    revision, known = rows["revision"].to_numpy(), rows["known_at"].to_numpy()
    # A revision that comes twice counts from the first time.
    first = np.concatenate([[True], ~(same & (revision[1:] == revision[:-1]))])[: rows.num_rows]
    at = np.flatnonzero(first)
    until = np.full(len(at), FOREVER)
    # Rows between two first ones are repetitions of the former, so that the next first one shares its key if `same`.
    follows = same[at[1:] - 1]
    until[:-1][follows] = known[at[1:]][follows]
    deleted = rows["deleted"].to_numpy(zero_copy_only=False)[at] if "deleted" in rows.column_names else until < 0
    kept = ~deleted & (known[at] < until)
    rows = rows.take(pa.array(at[kept]))
    stored = {
        "deleted": pa.repeat(pa.scalar(False), rows.num_rows),
        "known_until": pa.array(until[kept]),
        "known_at_origin": pa.repeat("recorded", rows.num_rows),
        "ledger_seq": pa.array(np.arange(1, rows.num_rows + 1)),
    }
    columns = {}
    for column in TABLES[name].stored:
        given = rows[column.name] if column.name in rows.column_names else pa.nulls(rows.num_rows, column.type.arrow)
        columns[column.name] = stored.get(column.name, given)
    return pa.table(columns)


def _links(simulation: Simulation, touches: pa.Table) -> tuple[pa.Array, pa.Array, Ints]:
    """Return account, contact and time of the link of every touch; no account where there is none."""
    given = simulation.tables
    since = touches["known_at"].to_numpy().copy()
    contacts, accounts, links = given["contacts"], given["accounts"], given["touch_links"]
    by_email = pc.index_in(touches["email_hash"], contacts["email_hash"].combine_chunks())
    contact = pc.coalesce(touches["contact_id"], contacts["contact_id"].take(by_email))
    by_domain = pc.index_in(touches["domain"], accounts["domain"].combine_chunks())
    employer = _employers(given["attributes"], contact, since)
    account = pc.coalesce(touches["account_id"], employer, accounts["account_id"].take(by_domain))
    told = pc.index_in(_event(touches), _event(links))
    late = pc.and_(pc.is_null(account), pc.is_valid(told)).to_numpy(zero_copy_only=False)
    links = links.take(told)
    since[late] = np.maximum(since, pc.fill_null(links["known_at"], 0).to_numpy())[late]
    return pc.coalesce(account, links["account_id"]), pc.coalesce(contact, links["contact_id"]), since


def _employers(attributes: pa.Table, contact: pa.Array, at: Ints) -> pa.Array:
    """Return the employer of each person at a moment, as known then: the one who came last."""
    jobs = attributes.filter(pc.equal(attributes["field"], "employer")).sort_by("occurred_at")
    people = pc.unique(jobs["id"])
    who = pc.fill_null(pc.index_in(contact, people), -1).to_numpy(zero_copy_only=False)
    whose = pc.index_in(jobs["id"], people).to_numpy(zero_copy_only=False)
    begins = np.maximum(jobs["occurred_at"].to_numpy(), jobs["known_at"].to_numpy())
    place = np.argsort(whose, kind="stable")
    first = np.searchsorted(whose[place], np.arange(len(people) + 1))
    job = np.full(len(at), -1)
    for turn in range(int(np.diff(first).max(initial=0))):
        row = np.where(who >= 0, first[who] + turn, 0)
        there = (who >= 0) & (row < first[who + 1])
        row = place[np.where(there, row, 0)]
        job = np.where(there & (begins[row] <= at), row, job)
    return jobs["value"].take(pa.array(job, mask=job < 0))


def _event(table: pa.Table) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(table["source"], table["event_id"], "/")
