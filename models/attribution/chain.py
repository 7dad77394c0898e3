"""The chain of channels: which state followed which, how often, and what is lost without one of the channels.

A state of order k is the last k channels of a journey, fewer at its beginning. Every journey that ended makes one way
from the start through its states to *conversion* or *null*; one without a touch goes there at once.

With Q the probabilities from state to state, a those from the start and r what a visit of each state earns by
converting there, v = (I - Q)^-1 r is what is still earned from a state, and P = a v + r_0 what a journey earns. Channel
c is removed by sending to null whatever leads to a state whose newest channel is c.

At order 1 that is one state. With N = (I - Q)^-1 it is visited at all with probability h_c = (a N)_c / N_cc, from then
on v_c is earned, and this is all that goes lost: one inverse gives the loss h_c v_c / P of every channel. At a higher
order the states of c form a block and its first visit may be in any of them; what is earned while they are avoided
solves u = D_c Q u + D_c r, where D_c sets the rows of c to 0. All channels are solved together, one column each.

References
----------
E. Anderl, I. Becker, F. von Wangenheim and J. H. Schumann, Mapping the customer journey: lessons learned from
graph-based online attribution modeling, International Journal of Research in Marketing 33, 2016. J. G. Kemeny and
J. L. Snell, Finite Markov Chains, 1960, chapter 3 (fundamental matrix, probability to visit).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from features.journeys import Journeys
from features.journeys.journeys import Bools
from models.arrays import Floats, Integers
from models.attribution.allocation import players
from models.attribution.draws import totals

START, CONVERSION, NULL = "(start)", "(conversion)", "(null)"

_DENSE = 4_000_000
"""Numbers that may be counted in a table of their own before they are sorted instead."""
MOST_WORK = 2e8
"""`Chain.work` beyond which removing channels one by one takes minutes."""
_AT_ONCE = 4_000_000
"""States times channels that are solved together."""


@dataclass(frozen=True)
class Chain:
    """Transitions of s states, with e different ones counted.

    Parameters
    ----------
    channels : tuple of k str
    states : array of int, shape (s, order)
        Channels of each state, the newest last; -1 before the first touch.
    source : array of int, shape (e,)
        State that each transition leaves; s is the start.
    target : array of int, shape (e,)
        State that it reaches; s is conversion, s + 1 is null.
    count : array of shape (e,)
        How often it was made.
    """

    channels: tuple[str, ...]
    states: Integers
    source: Integers
    target: Integers
    count: Floats

    @classmethod
    def of(cls, journeys: Journeys, order: int = 1) -> Chain:
        """Count the transitions of the journeys that are not censored."""
        channels, code = players(journeys)
        states, state = states_of(journeys, code, len(channels), order)
        key = transitions(journeys, state, len(states))
        ended = None
        if journeys.censored.any() or (journeys.count != 1).any():
            ended = np.where(journeys.censored, 0, journeys.count).astype(np.float64)[journey_of(journeys)]
        made, count = _counted(key, ended, (len(states) + 1) * (len(states) + 2))
        source, target = np.divmod(made, len(states) + 2)
        return cls(channels, states, source, target, count)

    @property
    def is_final(self) -> Bools:
        """Whether each transition is a conversion, of shape (e,)."""
        return np.asarray(self.target == len(self.states))

    @property
    def work(self) -> int:
        """How long it takes to remove every channel at an order above 1, as transitions times channels."""
        return len(self.source) * len(self.channels)

    def by_cluster(self, journeys: Journeys, cluster: Integers, weight: Floats) -> sp.csr_array:
        """Return how often the journeys of each cluster made each transition, of shape (n_clusters, e).

        Parameters
        ----------
        journeys : Journeys
            From which the chain was counted.
        cluster : array of int, shape (n,)
        weight : array of shape (n,)
            What each journey counts; 0 leaves it out.
        """
        order = self.states.shape[1]
        _, state = states_of(journeys, players(journeys)[1], len(self.channels), order)
        key, of = transitions(journeys, state, len(self.states)), journey_of(journeys)
        counts = weight[of] != 0
        edge = np.searchsorted(self.source * (len(self.states) + 2) + self.target, key[counts])
        shape = (int(cluster.max(initial=-1)) + 1, len(self.source))
        return sp.csr_array((weight[of[counts]], (cluster[of[counts]], edge)), shape)

    def effects(self, count: Floats | None = None, reward: Floats | None = None) -> Floats:
        """Return the share of what is earned that is lost without each channel, of shape (k,).

        Parameters
        ----------
        count : array of shape (e,), optional
            Other counts of the same transitions, such as those of a draw.
        reward : array of shape (e,), optional
            What the transitions to conversion earned, in all; default their counts.

        Raises
        ------
        ValueError
            When there are too many states and channels to remove each exactly.
        """
        made = self.count if count is None else count
        size = len(self.states)
        visits = totals(made, self.source, size + 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            p = np.where(made > 0, made / visits[self.source], 0.0)
            earned = p if reward is None else np.where(made > 0, reward / visits[self.source], 0.0)
        final, starts, inner = self.is_final, self.source == size, self.target < size
        r = totals(earned[final], self.source[final], size + 1)
        a = totals(p[starts & inner], self.target[starts & inner], size)
        moves = inner & ~starts & (p > 0)
        q = sp.csr_array((p[moves], (self.source[moves], self.target[moves])), (size, size))
        if self.states.shape[1] == 1:
            lost, total = _lost_by_state(q.toarray(), a, r[:size])
        else:
            lost, total = self._lost_by_block(q, a, r[:size])
        total += r[size]
        # Rounding may leave a channel that earns nothing a hair below 0.
        return np.clip(lost / total, 0.0, 1.0) if total > 0 else np.zeros(len(self.channels))

    def _lost_by_block(self, q: sp.csr_array, a: Floats, r: Floats) -> tuple[Floats, float]:
        channels = len(self.channels)
        if self.work > MOST_WORK:
            raise ValueError(
                f"{channels:,} channels make {len(self.states):,} states and {len(self.source):,} transitions at "
                f"order {self.states.shape[1]}: at most {int(MOST_WORK / channels):,} transitions can be handled with "
                "so many channels. Choose order 1, or put rare channels into one group."
            )
        # A stay in a state changes nothing but how long it takes, and long stays are what makes iteration slow.
        leaves = 1 - q.diagonal()
        q = (sp.diags_array(1 / leaves) @ (q - sp.diags_array(q.diagonal()))).tocsr()
        r = r / leaves
        newest, step = self.states[:, -1], max(1, _AT_ONCE // max(len(self.states), 1))
        longest = _longest(q)
        total = float(a @ _solved(q, r[:, None], longest)[:, 0])
        earned = np.empty(channels)
        for first in range(0, channels, step):
            some = np.arange(first, min(first + step, channels))
            keeps = newest[:, None] != some
            earned[some] = a @ _solved(q, keeps * r[:, None], longest, keeps)
        return total - earned, total

    def table(self) -> pa.Table:
        """Return the transition matrix: `from`, `to`, `probability` and `count`, the commonest transition first."""
        names = [
            *(
                " > ".join(self.channels[channel] for channel in state if channel >= 0)
                for state in self.states.tolist()
            ),
            CONVERSION,
            NULL,
        ]
        visits = totals(self.count, self.source, len(self.states) + 1)
        found = pa.table(
            {
                "from": [START if state == len(self.states) else names[state] for state in self.source.tolist()],
                "to": [names[state] for state in self.target.tolist()],
                "probability": self.count / visits[self.source],
                "count": self.count,
            }
        )
        return found.sort_by([("count", "descending"), ("from", "ascending"), ("to", "ascending")])


def states_of(journeys: Journeys, code: Integers, channels: int, order: int) -> tuple[Integers, Integers]:
    """Return the states that occur, of shape (s, order), and that of each touch, of shape (m,)."""
    if order == 1:
        return np.arange(channels)[:, None], code
    place = np.arange(len(code)) - journeys.offset[:-1][journeys.of_touch]
    label = code + 1
    for back in range(1, order):
        earlier = np.zeros_like(code)
        earlier[back:] = code[: len(code) - back] + 1
        label = label + np.where(place >= back, earlier, 0) * (channels + 1) ** back
    found, state = np.unique(label, return_inverse=True)
    digits = [found // (channels + 1) ** back % (channels + 1) - 1 for back in range(order - 1, -1, -1)]
    return np.stack(digits, axis=1), state


def transitions(journeys: Journeys, state: Integers, states: int) -> Integers:
    """Return a number per transition: the one out of each touch, then the first one of each journey.

    The number is source * (states + 2) + target, as in `Chain`; of shape (m + n,).
    """
    m, touched = len(state), np.diff(journeys.offset) > 0
    end = states + np.where(journeys.converted, 0, 1)
    key = np.empty(m + journeys.size, dtype=np.int64)
    key[: max(m - 1, 0)] = state[1:]
    key[journeys.offset[1:][touched] - 1] = end[touched]
    key[:m] += state * (states + 2)
    first = key[m:]
    first[:] = end
    first[touched] = state[journeys.offset[:-1][touched]]
    first += states * (states + 2)
    return key


def journey_of(journeys: Journeys) -> Integers:
    """Return the journey of each of the `transitions`."""
    return np.concatenate([journeys.of_touch, np.arange(journeys.size)])


def _counted(key: Integers, weight: Floats | None, space: int) -> tuple[Integers, Floats]:
    if space <= max(_DENSE, len(key)):
        made, place, groups = np.arange(space), key, space
    else:
        made, place = np.unique(key, return_inverse=True)
        groups = len(made)
    count = np.bincount(place, weights=weight, minlength=groups)
    happened = np.flatnonzero(count)
    return made[happened], count[happened].astype(np.float64)


def _lost_by_state(q: Floats, a: Floats, r: Floats) -> tuple[Floats, float]:
    """Return what is lost without each state, and what is earned with all of them."""
    fundamental = np.linalg.inv(np.eye(len(q)) - q)
    v = fundamental @ r
    return (a @ fundamental) / np.diag(fundamental) * v, float(a @ v)


def _solved(q: sp.csr_array, r: Floats, longest: int, keeps: Bools | float = 1.0) -> Floats:
    """Return the solution of u = keeps * (q u) + r, column by column, to rounding: the sum of (keeps * q)^n r.

    No sum over further n exceeds 2 * `longest` times the largest last term.
    """
    u, term = r.copy(), r
    while 2 * longest * np.abs(term).max(initial=0.0) > 1e-15 * np.abs(u).max(initial=0.0):
        term = keeps * (q @ term)
        u += term
    return u


def _longest(q: sp.csr_array) -> int:
    """Return after how many steps every journey has ended with a probability of a half, wherever it is."""
    steps, alive = 0, np.ones(q.shape[0])
    while alive.max(initial=0.0) > 0.5:
        steps, alive = steps + 1, q @ alive
    return max(steps, 1)
