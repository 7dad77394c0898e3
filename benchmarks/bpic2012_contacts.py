"""Which kinds of contact precede the approval of a loan, on a real log of 262,200 events, by every model side by side.

Run ``python -m benchmarks.bpic2012_contacts``; ``--xes`` takes in the original event log, not the table made of it.
The channels of the log say little (nearly all is a call), so the kind of a contact takes their place: its type and, for
calls, what it is about (leads, completing the application, the offer). What the lender's people choose to do, calls
and quotes, are levers; what the applicant sends back is a response. The incremental model adjusts for what was known
before: the amount that was asked for, and how far the application had come. The acceptance of a quote is left out: it
is written down as the loan is approved, and does not precede it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks import bpic2012_log, measure
from benchmarks.olist import wilson
from features import relations
from features.agreement import Agreement
from features.journeys import Journeys, find_journeys
from features.journeys.confounders import confounders
from features.ledger import Ledger
from models.attribution.draws import Draws
from models.attribution.incremental import Incremental
from models.attribution.intervals import replicates
from models.attribution.markov import Markov
from models.attribution.markov_order import best_order
from models.attribution.rules import rules
from models.attribution.shapley import ShapleyRate, ShapleySets
from models.bootstrap import Estimate

LOG = bpic2012_log.FILE.with_name("BPI_Challenge_2012.xes.gz")
AGREEMENT, MAP = measure.ROOT / "examples" / "bpic2012.agreement.toml", "examples/bpic2012.toml"
RULES = ("first", "last", "linear", "time_decay")
LEVERS = ("call tofu", "call mofu", "call bofu", "quote_sent")
NAMES = {
    "call tofu": "call about a lead",
    "call mofu": "call to complete",
    "call bofu": "call about the offer",
    "quote_sent": "quote sent",
    "quote_returned": "quote sent back",
}
STEP_DAYS, HORIZON_DAYS = 2, 60
"""Applications are decided within weeks: half of the approved ones in 14 days, nearly all in 60."""

APPROVED = 2_246


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--xes", action="store_true", help="take in the original event log")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--json", type=Path, help="file for the result")
    options = parser.parse_args()
    file = LOG if options.xes else bpic2012_log.FILE
    if not file.exists():
        print(f"Skipped: {file} is not there (4TU.ResearchData, doi 10.4121, BPI Challenge 2012).")
        return
    with tempfile.TemporaryDirectory() as scratch:
        store = Path(scratch) / "log.db"
        arguments = ["smarketing.py", "--store", str(store), "--json", "ingest", str(file), "--map", MAP]
        cost, counts = measure.python(arguments)
        with Ledger.open(store) as ledger:
            tables, as_of = by_kind(ledger.tables()), ledger.head().known_at
    agreement = contacts_agreement()
    built = relations.build(tables, agreement)
    journeys = find_journeys(tables, built, agreement, as_of=as_of)
    known = confounders(journeys, built, agreement)
    preceded = before_approval(journeys)
    shares, order, effects = by_model(journeys, known, agreement, options.draws)
    approved = int(journeys.converted.sum())
    wrong = [] if approved == APPROVED else [f"{approved:,} approved journeys instead of {APPROVED:,}"]
    rows = [measure.row("ingest", cost, result=f"{counts['rows']:,} events")]
    found = {
        "preceded": {name: {arm: vars(one) for arm, one in of.items()} for name, of in preceded.items()},
        "shares": {model: {name: vars(one) for name, one in of.items()} for model, of in shares.items()},
        "effects": {name: vars(one) for name, one in effects.items()},
        "markov_order": order,
        "left_out": dict(journeys.left_out),
        "missed": wrong,
    }
    measure.report("bpic2012_contacts", rows, found, options.json)
    _print(journeys, known, preceded, shares, effects)
    for line in wrong:
        print(f"MISSED: {line}")
    raise SystemExit(1 if wrong else 0)


def by_kind(tables: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    """Return the tables with the kind of each contact in place of its channel."""
    touches = tables["account_touches"]
    pairs = zip(touches["touch_type"].to_pylist(), touches["content_stage"].to_pylist(), strict=True)
    kinds = pa.array([f"call {stage}" if kind == "call" else kind for kind, stage in pairs])
    place = touches.column_names.index("channel")
    return {**tables, "account_touches": touches.set_column(place, "channel", kinds)}


def contacts_agreement() -> Agreement:
    """Return the lender's agreement, by which its calls and quotes are levers."""
    agreement = Agreement.load(AGREEMENT)
    rules = agreement.attribution
    changed = replace(
        rules,
        lookback_days=0,
        step_days=STEP_DAYS,
        horizon_days=HORIZON_DAYS,
        levers=LEVERS,
    )
    return replace(agreement, attribution=changed)


def before_approval(journeys: Journeys) -> dict[str, dict[str, Estimate]]:
    """Return the share of approved and of other applications with each kind of contact, and the approval rates."""
    names, code = journeys.players()
    closed = ~journeys.censored
    found = {}
    for place, name in enumerate(names):
        has = np.zeros(journeys.size, dtype=bool)
        has[journeys.of_touch[code == place]] = True
        won, lost = journeys.converted, closed & ~journeys.converted
        arms = {
            "approved": (won, has),
            "not": (lost, has),
            "with": (closed & has, won),
            "without": (closed & ~has, won),
        }
        found[str(name)] = {arm: wilson(int((of & hit).sum()), int(of.sum())) for arm, (of, hit) in arms.items()}
    return found


def by_model(
    journeys: Journeys, known: pa.Table, agreement: Agreement, draws: int
) -> tuple[dict[str, dict[str, Estimate]], int, dict[str, Estimate]]:
    """Return the share of each kind in the approvals by model, the order of the chain, and the signed effects."""
    drawn = Draws.of(journeys, draws=draws)
    all_rules = rules(agreement.attribution)
    order = best_order(journeys).order
    models: list[Any] = [*(all_rules[name] for name in RULES), Markov(order=order), ShapleySets(), ShapleyRate()]
    shares = {}
    for model in models:
        print(model.name, file=sys.stderr)
        shares[model.name] = replicates(model, model.fit(journeys).credit(journeys), drawn).shares()
    print("incremental", file=sys.stderr)
    attribution = agreement.attribution
    incremental = Incremental(step_days=attribution.step_days, horizon_days=attribution.horizon_days)
    incremental.fit(journeys, known)
    effects = incremental.replicates(drawn.weights)
    shares["incremental"] = effects.shares()
    return shares, order, effects.estimates()


def _print(
    journeys: Journeys,
    known: pa.Table,
    preceded: Mapping[str, Mapping[str, Estimate]],
    shares: Mapping[str, Mapping[str, Estimate]],
    effects: Mapping[str, Estimate],
) -> None:
    lost = int((~journeys.converted & ~journeys.censored).sum())
    print(
        f"\n{journeys.size:,} applications: approved {int(journeys.converted.sum()):,}, not approved {lost:,},"
        f" still open {int(journeys.censored.sum()):,}; {journeys.touches.num_rows:,} contacts before the end.\n"
        f"\n{'contact':>21}  {'of the approved':24} {'of the others':24} {'approved with it':24} approved without it"
    )
    for name, of in preceded.items():
        print(f"{NAMES.get(name, name):>21}  {'  '.join(_share(one) for one in of.values())}")
    always = [NAMES.get(name, name) for name, of in preceded.items() if of["without"].value == 0]
    if always:
        print(
            f"\nNo application was approved without: {', '.join(always)}. These are steps on the way to every approval."
            "\nThe log can not tell what would have happened without them; an effect below is one of earlier and more."
        )
    print(f"\nShare of the approvals, 90 % intervals\n{'contact':>21}  " + " ".join(f"{model:^21}" for model in shares))
    for name in [*preceded, "(no touch)", "(baseline)"]:
        cells = [_share(of[name]) if name in of else "" for of in shares.values()]
        if any(cells):
            print(f"{NAMES.get(name, name):>21}  " + " ".join(f"{cell:21}" for cell in cells))
    print(f"\nIncremental approvals, adjusted for {', '.join(known.column_names)}:")
    for name, one in effects.items():
        print(f"{NAMES.get(name, name):>21}  {one.value:8.1f} [{one.bounds[0]:.1f}, {one.bounds[1]:.1f}]")


def _share(estimate: Estimate) -> str:
    low, high = estimate.bounds
    return f"{estimate.value:6.1%} [{low:.1%}, {high:.1%}]"


if __name__ == "__main__":
    main()
