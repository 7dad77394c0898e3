"""What the pages call the models, the grades of evidence, and the reasons of an analysis of attribution."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from models.attribution.notes import NOTES
from serving.pages.words import N_, Words

MODELS = MappingProxyType(
    {
        "first": N_("first touch"),
        "last": N_("last touch"),
        "last_non_direct": N_("last touch that is not direct"),
        "linear": N_("all touches alike"),
        "time_decay": N_("time decay"),
        "position": N_("first and last 40 %, others 20 %"),
        "w_shaped": N_("W-shaped"),
        "full_path": N_("full path"),
        "markov_1": N_("Markov chain, order 1"),
        "markov_2": N_("Markov chain, order 2"),
        "markov_3": N_("Markov chain, order 3"),
        "markov_1_paths": N_("Markov chain, order 1, journey by journey"),
        "markov_2_paths": N_("Markov chain, order 2, journey by journey"),
        "markov_3_paths": N_("Markov chain, order 3, journey by journey"),
        "shapley_sets": N_("Shapley over sets"),
        "shapley_rate": N_("Shapley of the conversion rate"),
        "incremental": N_("incremental"),
        "incremental_by_stage": N_("incremental, stage by stage"),
    }
)
GRADES = MappingProxyType(
    {
        "rule": N_("rule"),
        "correlational": N_("correlational"),
        "adjusted": N_("adjusted"),
        "experiment-calibrated": N_("experiment-calibrated"),
    }
)
GRADE_MEANINGS = MappingProxyType(
    {
        "rule": N_("A convention about who gets the credit. It learns nothing from the data, and nothing follows "
                   "from it about what a channel achieved."),
        "correlational": N_("Learnt from which journeys converted. A channel that meets accounts about to buy anyway "
                            "looks good here."),
        "adjusted": N_("Compared with like accounts that were not touched, by all that was known before we acted. What "
                       "nobody recorded can still mislead."),
        "experiment-calibrated": N_("Brought in line with an experiment: the strongest evidence there is."),
    }
)  # fmt: skip
COLUMNS = MappingProxyType(
    {
        "channel": N_("channel"), "campaign": N_("campaign"), "content": N_("content"), "product": N_("product"),
        "actor_id": N_("our person"), "team": N_("our team"), "contact_id": N_("contact"), "source": N_("source"),
        "touch_type": N_("kind of touch"), "direction": N_("who acted"),
    }
)  # fmt: skip
NAMES = MappingProxyType(
    {
        "(others)": N_("all others together"),
        "(no touch)": N_("no touch that counts"),
        "(baseline)": N_("would have happened anyway"),
        "(start)": N_("start"),
        "(conversion)": N_("converted"),
        "(null)": N_("not converted"),
    }
)
"""Names that stand in brackets because they are no value of the data."""

REASONS = MappingProxyType(
    {
        "another_kind": N_("another kind of business"),
        "negative_amount": N_("the amount is negative"),
        "otherwise": N_("for another reason; see what was left out below"),
    }
)


LEFT_OUT = MappingProxyType(
    {
        "touches_internal": N_("touches that nobody outside noticed"),
        "touches_of_excluded_type": N_("touches of a type that the agreement excludes"),
        "touches_outbound": N_("touches of our own, which the agreement excludes"),
        "touches_unobserved": N_("touches of accounts that are not under observation"),
        "touches_after_the_end": N_("touches at the end of the journey or later"),
        "touches_over_the_limit": N_("touches beyond the most that a journey has"),
        "touches_outside_the_lookback": N_("touches before the lookback"),
        "touches_without_account": N_("touches of no known account"),
        "deals_of_another_kind": N_("deals of another kind of business"),
        "conversions_without_touch": N_("conversions without a touch that counts; they are journeys all the same"),
        "conversions_without_account": N_("conversions of no known account"),
        "deals_without_amount": N_("deals without an amount: revenue 0"),
        "deals_without_rate": N_("deals without a rate: revenue in their own currency"),
        "deals_negative": N_("deals with a negative amount: revenue 0"),
    }
)
GAPS = MappingProxyType(
    {
        "cost missing": N_("cost missing"),
        "cost in several currencies, without a rate": N_("cost in several currencies, without a rate"),
        "revenue in another currency than the cost, without a rate": N_(
            "revenue in another currency than the cost, without a rate"
        ),
        "amount missing": N_("amount missing"),
        "some amounts missing: revenue is at least this": N_("some amounts missing: revenue is at least this"),
        "nothing credited": N_("nothing credited"),
        "cost is 0": N_("cost is 0"),
        "cost is negative": N_("cost is negative"),
    }
)
SAID = (
    N_("Brings leads, but no customers that can be told from none."),
    N_("No effect that can be told from none."),
    N_("Brings customers."),
    N_("Stop: very likely below its cost."),
    N_("Watch: more likely below its cost than above."),
    N_("Keep: more likely above its cost than below."),
    N_("Cost missing."),
)
"""Sentences of the stop list."""


ATTEMPTS = MappingProxyType(
    {
        ("placebo", True): N_("0 lies within, as it should."),
        ("placebo", False): N_("It can not bring any: distrust these intervals."),
        ("time_shift", True): N_("Nothing runs ahead of it."),
        ("time_shift", False): N_("Its touches follow intent, or are triggered by responses: its effect may not be its "
                                  "own."),
    }
)  # fmt: skip
"""What follows from a check, by whether it was passed."""
ATTEMPT_NAMES = MappingProxyType(
    {"placebo": N_("placebo of %(channel)s"), "time_shift": N_("before touches of %(channel)s")}
)
ATTEMPT_UNITS = MappingProxyType({"placebo": N_("conversions"), "time_shift": N_("times as many responses as usual")})


def verdict(said: str, words: Words) -> str:
    """Say a verdict of the stop list, which is made of whole sentences."""
    sentences = [f"{part.rstrip('.')}." for part in said.split(". ") if part]
    return " ".join(words.gettext(sentence) for sentence in sentences)


def player(name: str | None, words: Words) -> str:
    """Name what is credited: a value in the reader's language where there is one, else as it is."""
    name = "(others)" if name is None else name
    return words.named(NAMES, name) if name in NAMES else words.term(name)


def note(found: Mapping[str, Any], words: Words) -> str:
    """Say a note in the reader's language."""
    template = NOTES.get(found["code"])
    if template is None:
        return str(found["text"])
    values = {name: words.number(value) if isinstance(value, int) else value for name, value in found["values"].items()}
    return words.gettext(template) % values
