# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Attribution
#
# Which touches is a won deal associated with, how sure is that, and what would have happened anyway? Every model of
# Smarketing answers the same question from the same journeys. On a simulated market the truth is known, so that they
# can be compared with it.

# %%
import tempfile
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from features.agreement import Agreement
from features.synthetic.exposures import MARKETS, simulate_exposures
from models.attribution.aggregate import credit_by
from models.attribution.analysis import analyse_journeys
from models.attribution.falsification import placebo
from models.attribution.question import Question

# %% [markdown]
# ## A market whose truth is known
#
# Accounts are watched for 91 days. Some channels are levers, which we choose; others are responses, what accounts do by
# themselves. Two levers have no effect at all.

# %%
market = replace(MARKETS["logistic"], accounts=4_000)
exposures = simulate_exposures(market, seed=101)
journeys = exposures.journeys
print(f"{journeys.size:,} journeys, {int(journeys.converted.sum()):,} converted, {journeys.touches.num_rows:,} touches")

# %% [markdown]
# ## One question, every model
#
# `smarketing attribute` does this from a ledger. Here the journeys come from the simulation, with what was known about
# the accounts before the first touch: the *confounders*. All journeys end within 91 days: that is the horizon.

# %%
known = exposures.confounders.drop_columns(["account_id"])
agreement = Agreement.load(None)
agreement = replace(agreement, attribution=replace(agreement.attribution, horizon_days=91))
found = analyse_journeys(journeys, agreement, Question(draws=100), known=known)
for note in found.notes:
    print("-", note.text)

# %% [markdown]
# Each model gives every channel a share of the conversions, with a 90 % interval. The *grade of evidence* says what a
# figure rests on: a rule is a convention, Markov and Shapley are correlational, the incremental model is adjusted.

# %%
shares = {one.model: {line.player: line.share for line in one.lines} for one in found.results}
shown = [name for name in shares if name in ("last", "linear", "shapley_rate", "incremental") or name == "markov_1"]
players = list(found.players.names)
figure, axes = plt.subplots(figsize=(9, 0.5 * len(players) + 1))
for at, model in enumerate(shown):
    place = np.arange(len(players)) + 0.16 * (at - len(shown) / 2)
    value = np.array([shares[model][player].value for player in players])
    bounds = np.array([shares[model][player].bounds for player in players])
    axes.barh(place, value, height=0.15, label=model, alpha=0.5)
    axes.errorbar(value, place, xerr=np.abs(bounds.T - value), fmt="none", ecolor="black", linewidth=0.8)
axes.set_yticks(range(len(players)), players)
axes.invert_yaxis()
axes.set_xlabel("share of all conversions")
axes.legend()
plt.show()

# %% [markdown]
# ## Beside the truth
#
# The truth is what each lever added: the Shapley value of the conversions with and without it. Half the sum of the
# absolute differences of the shares, the total variation distance, says which part of the credit is misplaced.

# %%
truth = dict(zip(exposures.truth.channels, exposures.truth.shares, strict=True))
for one in found.results:
    given = np.array([max(line.credit.value, 0.0) for line in one.lines])
    true = np.array([truth.get(line.player, 0.0) for line in one.lines])
    print(f"{one.model:16} {one.evidence:14} misplaces {np.abs(given / given.sum() - true).sum() / 2:.0%}")

# %% [markdown]
# ## What would have happened anyway
#
# The incremental model alone has a baseline: conversions that the accounts would have made without any lever. Effects
# are signed; an interval that holds 0 means that no difference can be told.

# %%
for effect in found.chosen.effects.rows:
    low, high = effect.conversions.bounds
    print(f"{effect.channel:22} {effect.conversions.value:8.1f} ({low:.1f} to {high:.1f})")
print(f"truly anyway: {exposures.truth.baseline:.1f}")

# %% [markdown]
# ## The frame
#
# Whatever the model, the answer is one frame: a row per touch with its credit and its revenue, which make the
# conversions and the revenue exactly. `credit_by` adds it up by any of its columns.

# %%
frame = found.frame()
print(frame.num_rows, "rows:", ", ".join(frame.column_names))
linear = next(credit for credit in found.credits if credit.model == "linear")
credit_by(linear, ["channel"]).to_pandas().head()

# %% [markdown]
# ## May it be believed?
#
# A *placebo*: the touches of a lever are given to other accounts at random, as one more lever. It must show no effect.

# %%
check = placebo(journeys, found.chosen.effects.rows[0].channel, confounders=known, horizon_days=91, draws=100)
print(check.verdict)

# %% [markdown]
# ## The report
#
# `smarketing attribute --report attribution.html` writes all of this as one page, in English or Chinese, with the
# commonest journeys, costs, the stop list, and whether the books agree with the ledger.

# %%
from serving.attribution import published
from serving.pages.attribution_report import attribution_report

with tempfile.TemporaryDirectory() as folder:
    page = Path(folder) / "attribution.html"
    page.write_text(attribution_report(published(found), "en"), encoding="utf-8")
    print(f"{page.stat().st_size:,} bytes in one file")

# %% [markdown]
# ## What to try next
#
# - Take another market, `MARKETS["confounded_strong"]`, and leave `intent_proxy` out of `known`: how far does each
#   model move, and does the placebo notice?
# - Ask for another column, `Question(by="campaign")`, or for part of the time with `from_` and `to`.
# - Give the agreement a rule of your own, `[attribution.models.our_rule]`, and see how much it misplaces.
# - Calibrate the incremental model with a lift test: `Incremental(...).calibrated([LiftTest(...)])`.
