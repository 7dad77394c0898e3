"""The model card in the reader's language: one sentence for each code that training writes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from serving.pages.words import N_, Words
from serving.wire import moment

SECTIONS = MappingProxyType(
    {
        "data": N_("Data"),
        "intended": N_("Meant for"),
        "not_intended": N_("Not meant for"),
        "limits": N_("Limits"),
        "intervals": N_("How intervals are made"),
    }
)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
_LINES = MappingProxyType(
    {
        "data_range": N_("What happened from {since} to {until}."),
        "train_rows": N_("It learnt from {accounts} accounts at {rows} moments; {outcomes} of them took the step."),
        "test_rows": N_(
            "It was judged on {accounts} accounts at {rows} moments; {unseen} of them it had never seen, and "
            "{outcomes} took the step."
        ),
        "purged_in_time": N_(
            "The judging begins at {moment}; {purged} moments before it were left out, as their outcome was not "
            "known yet."
        ),
        "rank_and_size": N_(
            "Telling sales and marketing how likely an account is to take the step in time, and which "
            "signals go with it."
        ),
        "a_person_decides": N_("A person decides what is done; the score orders and sizes the work."),
        "not_causal": N_("It does not say what an action will change: reasons are associations, not causes."),
        "not_people": N_("It is about companies, never about the creditworthiness or the merit of a person."),
        "not_automatic": N_("Nobody should be refused an offer or a service by the score alone."),
        "not_elsewhere": N_("It does not hold for a market, a product or a sales process that it has not seen."),
        "few_outcomes": N_("Only {outcomes} accounts that took the step speak: expect the next model to differ."),
        "ece_above_floor": N_(
            "What it said and what came true differ by {ece} on average, more than chance alone would "
            "explain ({floor})."
        ),
        "assumed_times": N_(
            "When facts became known is assumed, not recorded: they may have been known later, and the figures are "
            "then too good."
        ),
        "reporting_lag": N_("Outcomes were awaited {days} days longer, since they are reported late."),
        "sampled": N_("{rows} moments were left out by sampling."),
        "intervals_of_measures": N_(
            "Intervals hold nine times out of ten: whole accounts were drawn again {draws} times (seed {seed})."
        ),
        "counted_in_accounts": N_("Nothing is measured with fewer than {fewest} accounts of either outcome."),
    }
)


def card(sections: list[Mapping[str, Any]], words: Words) -> list[dict[str, Any]]:
    """Return the sections of the card with their sentences.

    A line whose code has no sentence here speaks of the mathematics; it is in the report of the run.

    Parameters
    ----------
    sections : list of mapping
        As docs/report.md describes them.
    words : Words
    """
    told = [
        {
            "title": words.named(SECTIONS, one["section"]),
            "lines": [said for line in one["lines"] if (said := _said(line, words))],
        }
        for one in sections
        if one["section"] in SECTIONS
    ]
    return [one for one in told if one["lines"]]


def _said(line: Mapping[str, Any], words: Words) -> str | None:
    if line["code"] not in _LINES:
        return None
    values = {name: _plain(value, words) for name, value in line["values"].items()}
    return words.named(_LINES, line["code"]).format(**values)


def _plain(value: object, words: Words) -> str:
    if isinstance(value, int | float):
        return words.number(value, 0 if isinstance(value, int) else 2)
    text = str(value)
    return words.day(moment(text)) if _MOMENT.fullmatch(text) else text
