"""Roles of people, as far as we knew when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.relations.columns import Ints, encoded, latest_facts
from features.schema import FOREVER

_DISTANT_PAST = -FOREVER


@dataclass(frozen=True)
class Roles:
    """What was known of every contact's role over all of time.

    Parameters
    ----------
    contacts : pyarrow.Array of str, length n
        Those of whom a role was ever known.
    offset : array of int64, shape (n + 2,)
        Where the spans of each contact begin; the last but one is a span for everybody else.
    start, end : array of int64
        Spans that fill all of time without a hole, in order.
    value : pyarrow.Array of str
        The role over each span; null where none is known.
    """

    contacts: pa.Array
    offset: Ints
    start: Ints
    end: Ints
    value: pa.Array

    def over(self, contact: pa.ChunkedArray, start: Ints, end: Ints) -> tuple[Ints, Ints, Ints, pa.Array]:
        """Split rows where the role of their contact changes.

        Parameters
        ----------
        contact : pyarrow array of str, length n
        start, end : array of int64, shape (n,)

        Returns
        -------
        row, start, end : array of int64
            Pieces of the given rows, in their order, none of them empty.
        role : pyarrow.Array of str
            ``unknown`` where nothing is known of the contact, null where there is no contact.
        """
        code, people = encoded(contact)
        place = np.append(_places(people, self.contacts), len(self.contacts))[code]
        repeats = np.diff(self.offset)[place]
        row = np.repeat(np.arange(len(code)), repeats)
        within = np.arange(len(row)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        span = self.offset[place][row] + within
        begin, stop = np.maximum(start[row], self.start[span]), np.minimum(end[row], self.end[span])
        kept = begin < stop
        row, span = row[kept], span[kept]
        role = self.value.take(pa.array(span)).fill_null("unknown")
        return row, begin[kept], stop[kept], pc.if_else(pa.array(code[row] >= 0), role, pa.scalar(None, pa.string()))


def roles_of(attributes: pa.Table) -> Roles:
    """Return the roles of all contacts from ledger rows of attributes."""
    stated = pc.and_(pc.equal(attributes["entity"], "contact"), pc.equal(attributes["field"], "role"))
    facts, start, end = latest_facts(attributes.filter(stated))
    code, people = encoded(facts["id"])
    others = len(people)
    known = np.arange(len(code))
    is_first = np.concatenate(([True], code[1:] != code[:-1]))[: len(code)]
    is_last = np.concatenate((code[1:] != code[:-1], [True]))[: len(code)]
    before = np.where(is_first, _DISTANT_PAST, np.concatenate(([0], end[:-1]))[: len(code)])
    hole, tail = np.flatnonzero(before < start), np.flatnonzero(is_last & (end < FOREVER))
    owner = np.concatenate((code, code[hole], code[tail], [others]))
    since = np.concatenate((start, before[hole], end[tail], [_DISTANT_PAST]))
    until = np.concatenate((end, start[hole], np.full(len(tail) + 1, FOREVER)))
    source = np.concatenate((known, np.full(len(hole) + len(tail) + 1, -1)))
    order = np.lexsort((since, owner))
    values = facts["value"].combine_chunks() if facts.num_rows else pa.array([], pa.string())
    value = values.take(pa.array(source[order], mask=source[order] < 0))
    offset = np.searchsorted(owner[order], np.arange(others + 2))
    return Roles(people, offset, since[order], until[order], value)


def _places(people: pa.Array, known: pa.Array) -> Ints:
    return np.asarray(pc.index_in(people, known).fill_null(len(known)).to_numpy(zero_copy_only=False), dtype=np.int64)
