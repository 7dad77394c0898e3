"""Touches of one day: those that arise by themselves, those that others excite, and those that follow up."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import numpy.typing as npt

from features.schema import DAY
from features.synthetic.history import TYPE_CODES, TYPE_NAMES, Log
from features.synthetic.market import Market
from features.synthetic.population import Floats, Ints, Population
from features.touch_types import TOUCH_TYPES

_HOUR = DAY // 24
_WEEKEND = np.float32(0.25)
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday; Monday is 0


class Touching:
    """The touch processes of a market, day after day.

    Parameters
    ----------
    market : Market
    people : Population
    seeds : numpy.random.SeedSequence
        Daily draws, times of day (one stream per process) and follow-ups have streams of their own, so that none
        depends on how often another was asked: markets that differ in one dial stay comparable day by day.
    waves : float array of shape (n_months, n_processes), optional
        Campaigns, instead of drawn ones: factors on the rates in each stretch of 30 days.

    Attributes
    ----------
    adstock : float array of shape (n_processes, n_accounts)
        At 00:00 of the day to come.
    noticed : bool array of shape (n_accounts,)
        Whether an account has made itself known by an inbound response. Levers alone do not count, so that their whole
        effect on a step is the declared one.
    waves : float array of shape (n_months, n_processes)
    """

    def __init__(
        self,
        market: Market,
        people: Population,
        seeds: np.random.SeedSequence,
        waves: npt.NDArray[np.float64] | None = None,
    ) -> None:
        processes = market.processes
        self._market, self._people = market, people
        self._rng, self._marks, waving, *self._clocks = (
            np.random.default_rng(seed) for seed in seeds.spawn(3 + len(processes))
        )
        self._names = {process.name: code for code, process in enumerate(processes)}
        self._half_lives = np.array([process.half_life_days for process in processes], dtype=np.float32)
        self._fade = np.exp2(-1 / self._half_lives)
        self._by_state = np.array([process.by_state for process in processes], dtype=np.float32)
        self._daily = np.array([process.yearly * market.touches / 365 for process in processes], dtype=np.float32)
        spread = np.array([process.waves for process in processes])
        drawn = np.exp(waving.normal(0, 1, (market.months + 2, len(processes))) * spread - spread**2 / 2)
        self.waves = drawn if waves is None else waves
        self._pulls = (
            (np.array([process.role == "lever" for process in processes]), market.confounding, people.exposure),
            (np.array([process.role == "response" for process in processes]), market.response_pull, None),
        )
        self._excites = [
            (self._names[child], parent, np.float32(extra * (1 - self._fade[parent])))
            for parent, process in enumerate(processes)
            for child, extra in process.excites.items()
        ]
        widest = max(len(process.kinds) for process in processes)
        self._weight = np.zeros((len(processes), widest))
        self._pull = np.zeros((len(processes), widest))
        self._type = np.zeros((len(processes), widest), dtype=np.int8)
        for code, process in enumerate(processes):
            for at, kind in enumerate(process.kinds):
                self._weight[code, at], self._pull[code, at] = kind.weight, kind.pull
                self._type[code, at] = TYPE_CODES[kind.touch_type]
        self._follow_ups = [
            (TYPE_CODES[rule.after], self._names[rule.process], TYPE_CODES[rule.touch_type], rule)
            for rule in market.follow_ups
        ]
        responds = np.array([process.role == "response" for process in processes])
        inbound = np.array([TOUCH_TYPES[name].direction == "inbound" for name in TYPE_NAMES])
        self._makes_known = responds[:, None] & inbound[None, :]
        self._due: defaultdict[int, list[tuple[npt.NDArray[Any], ...]]] = defaultdict(list)
        self.adstock: Floats = np.zeros((len(processes), people.size), dtype=np.float32)
        self.noticed = np.zeros(people.size, dtype=bool)

    def advance(self, day: int, intent: Floats, state: npt.NDArray[np.int8], log: Log) -> None:
        """Draw the touches of a day, write them to `log`, and let the adstock move on to the next midnight.

        Parameters
        ----------
        day : int
            Days since the start of the history.
        intent : float array of shape (n_accounts,)
        state : int array of shape (n_accounts,)
            Positions in `market.STATES`.
        log : Log
            Of touches.
        """
        self.adstock *= self._fade[:, None]
        opening = self._people.start + day * DAY
        rate = self._rates(day, intent, state)
        draw = self._rng.random(rate.shape, dtype=np.float32)
        process, account = np.nonzero(draw < rate)
        # Given that a touch happens, its draw divided by its rate is uniform again: it chooses the touch type.
        share = draw[process, account] / rate[process, account]
        self._record(
            day, log, intent, state, account, process, self._types(process, intent[account], share),
            opening + self._time_of_day(process), np.full(len(account), -1),
        )  # fmt: skip
        while waiting := self._due.pop(day, []):
            columns = [np.concatenate(column) for column in zip(*waiting, strict=True)]
            self._record(day, log, intent, state, *columns)

    def branch(self, rows: npt.NDArray[np.intp], seeds: np.random.SeedSequence) -> Touching:
        """Return some accounts as they stand, to go on by other random numbers and the same campaigns."""
        twin = Touching(self._market, self._people.only(rows), seeds, self.waves)
        twin.adstock, twin.noticed = self.adstock[:, rows], self.noticed[rows]
        place = np.full(self._people.size, -1)
        place[rows] = np.arange(len(rows))
        for day, waiting in self._due.items():
            for account, *columns in waiting:
                kept = place[account] >= 0
                twin._due[day].append((place[account[kept]], *(column[kept] for column in columns)))
        return twin

    def _rates(self, day: int, intent: Floats, state: npt.NDArray[np.int8]) -> Floats:
        opening = self._people.start + day * DAY
        weekend = (opening // DAY + _EPOCH_WEEKDAY) % 7 >= 5
        today = self._daily * self.waves[day // 30 % len(self.waves)] * (_WEEKEND if weekend else 1.3)
        rate: Floats = (today[:, None].astype(np.float32) * self._by_state).take(state, axis=1)
        for chosen, slope, factor in self._pulls:
            pulled = np.exp(np.float32(slope) * intent)
            rate[chosen] *= pulled if factor is None else pulled * factor
        rate *= self._people.created <= opening
        for child, parent, boost in self._excites:
            rate[child] += (boost * (_WEEKEND if weekend else 1)) * self.adstock[parent]
        return rate

    def _types(self, process: Ints, intent: Floats, share: Floats) -> npt.NDArray[np.int8]:
        weight = np.cumsum(self._weight[process] * np.exp(self._pull[process] * intent[:, None]), axis=1)
        chosen = (share[:, None] * weight[:, -1:] >= weight).sum(axis=1)
        types: npt.NDArray[np.int8] = self._type[process, np.minimum(chosen, self._type.shape[1] - 1)]
        return types

    def _time_of_day(self, process: Ints) -> Ints:
        # `process` is sorted. Most of it in European working hours; never exactly at midnight.
        counts = np.bincount(process, minlength=len(self._clocks))
        drawn = [clock.normal(12.5, 3.2, count) for clock, count in zip(self._clocks, counts, strict=True)]
        times: Ints = (np.clip(np.concatenate(drawn), 0.01, 23.98) * _HOUR).astype(np.int64)
        return times

    def _record(
        self, day: int, log: Log, intent: Floats, state: npt.NDArray[np.int8],
        account: Ints, process: Ints, touch_type: npt.NDArray[np.int8], at: Ints, parent: Ints,
    ) -> None:  # fmt: skip
        if not len(account):
            return
        first = log.size
        log.add(
            account=account, process=process, touch_type=touch_type, at=at, parent=parent,
            intent=intent[account], state=state[account],
        )  # fmt: skip
        age = (self._people.start + (day + 1) * DAY - at) / DAY
        np.add.at(self.adstock, (process, account), np.exp2(-age / self._half_lives[process]).astype(np.float32))
        self.noticed[account[self._makes_known[process, touch_type]]] = True
        for after, then, what, rule in self._follow_ups:
            rows = np.flatnonzero(touch_type == after)
            if not len(rows):
                continue
            chance = rule.chance * np.exp(rule.pull * intent[account[rows]])
            rows = rows[self._marks.random(len(rows)) < chance]
            delay = rule.hours * np.exp(self._marks.normal(0, 0.9, len(rows))) + 0.05
            due = at[rows] + (delay * _HOUR).astype(np.int64)
            answered = first + rows if rule.replies else np.full(len(rows), -1)
            self._postpone(account[rows], then, what, due, answered)

    def _postpone(self, account: Ints, process: int, touch_type: int, due: Ints, parent: Ints) -> None:
        days = (due - self._people.start) // DAY
        for day in np.unique(days):
            rows = days == day
            count = int(rows.sum())
            what = np.full(count, touch_type, dtype=np.int8)
            self._due[int(day)].append((account[rows], np.full(count, process), what, due[rows], parent[rows]))
