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
# # Decide
#
# A probability is worth what it changes. Here it meets the agreement: what a visit costs, how many the team can make,
# what a win brings. What does ranking gain, where lies the threshold, what do intervals add, and what is calibration
# worth?

# %%
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from features.agreement import Agreement
from features.intake.ingest import ingest
from features.intake.jobs import plan
from features.intake.rows import RowParser
from features.ledger import Ledger
from features.synthetic import PRESETS, simulate, write
from models.bootstrap import Bootstrap
from models.bundle import load_bundle
from models.metrics import auc, precision_at, sigmoid
from training.config import load_config
from training.dataset import build_dataset
from training.run import train_on

scratch = tempfile.TemporaryDirectory(prefix="smarketing-")
folder = Path(scratch.name)

# %% [markdown]
# ## A model and its test
#
# A market, a trained model, and the snapshots of a later time that judged it. Decisions are made at moments of the
# grid, so those are kept: at each moment, every account that the goal applies to.

# %%
UNTIL = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
write(simulate(replace(PRESETS["demo"], accounts=500), seed=7, until=UNTIL), folder / "market")
with Ledger.open(folder / "smarketing.db") as ledger:
    ingest(ledger, RowParser(Agreement.load(), ledger.email_key()), plan([folder / "market"], None)[0])
    tables = ledger.tables()

quick = ["snapshots.every=28", "data.max_train=1500", "data.max_test=1500", "split.folds=3"]
quick += ["lightgbm.learning_rate=0.2"]
agreement, config = load_config(None, goal="won_90d", settings=quick, seed=1)
data = build_dataset(tables, agreement, config)
trained = train_on(data, agreement, config)
trained.save(folder / "bundle", trained_at=UNTIL)
bundle = load_bundle(folder / "bundle")

asked = data.split.test & ~data.is_event
X, won, as_of, amount = trained.X[asked], data.label[asked], data.as_of[asked], data.amount[asked]
logit = bundle.logit(X)
p = sigmoid(logit)
print(f"{bundle.rung}: {len(p):,} snapshots at {len(np.unique(as_of))} moments, {won.mean():.1%} won within 90 days")

# %% [markdown]
# ## Capacity
#
# The agreement says what a next step costs and how many the team can take in a week. Calls reach everybody in a
# market this small; visits do not. So the question is: *which twenty accounts do we visit?*

# %%
visit = agreement.actions["visit"]
pd.DataFrame([vars(action) for action in agreement.actions.values()])

# %% [markdown]
# Precision at capacity: of the accounts that would be visited at each moment, how many win? Compare with visiting
# anybody, and with the list that a seer would write, who still can not find more winners than there are.

# %%
rows = []
for moment in np.unique(as_of):
    here = as_of == moment
    capacity = min(visit.capacity, here.sum())
    best = min(won[here].sum() / capacity, 1.0)
    rows.append((len(p[here]), precision_at(won[here], p[here], capacity), won[here].mean(), best))
at_capacity = pd.DataFrame(rows, columns=["accounts", "model", "anybody", "seer"])
at_capacity.index = pd.Index(np.unique(as_of).astype("datetime64[us]").astype("datetime64[D]").astype(str))
at_capacity[["anybody", "model", "seer"]].plot.bar(
    figsize=(8, 3), ylabel="share that won", xlabel="", rot=0, width=0.75
)
plt.show()
means = at_capacity.mean()
print(f"{means['model'] / means['anybody']:.1f} times as many winners among those visited as among all")

# %% [markdown]
# ## Lift
#
# The same question for any capacity: of all winners, how many are among the best so many percent? The shaded band is
# the 90 % interval of the lift, in the declared use of scores. The diagonal is chance.

# %%
gains = trained.report.diagnosis.lift
share = np.array([gain.share for gain in gains])
captured = np.array([gain.captured for gain in gains])
low, high = np.array([gain.lift.bounds for gain in gains]).T
figure, axes = plt.subplots(figsize=(6.5, 3.6))
axes.fill_between(100 * share, 100 * np.minimum(share * low, 1), 100 * np.minimum(share * high, 1), alpha=0.15)
axes.plot(100 * share, 100 * captured, marker="o")
axes.plot([0, 100], [0, 100], color="grey", linewidth=1)
axes.set(xlabel="best % of the snapshots", ylabel="% of the winners among them", xlim=(0, 101), ylim=(0, 101))
plt.show()

# %% [markdown]
# ## Expected revenue
#
# Twenty likely small deals, or ten unlikely large ones? The bundle also knows what a win of this account would be
# worth, with an interval that nine of ten amounts lie in. Ranking by `p * amount` moves large accounts up; compare
# what the visited accounts in fact brought, over all moments (a win counts at each moment at which it was ahead).

# %%
expected = bundle.value.expected(X, p)
worth = np.array([one.amount for one in expected])
revenue = np.array([one.expected_revenue for one in expected])
inside = np.mean([one.low <= real <= one.high for one, real in zip(expected, amount) if real > 0])
brought = np.nan_to_num(amount)
orders = {"anybody": np.random.default_rng(0).random(len(p)), "probability": p, "expected revenue": revenue}
rows = []
for name, order in orders.items():
    place = pd.Series(-order).groupby(as_of).rank(method="first").to_numpy()
    visited = place <= visit.capacity
    rows.append((name, visited.sum(), won[visited].sum(), brought[visited].sum()))
print(f"{inside:.0%} of the amounts won lie in their interval of 90 %")
pd.DataFrame(rows, columns=["ranked by", "visits", "winners", f"won in {agreement.reporting_currency}"]).round(0)

# %% [markdown]
# ## A threshold from cost and benefit
#
# With capacity to spare, how far down the list is a visit still worth its cost? That needs one number that no
# propensity model knows: what a visit *changes*. Suppose that visiting an account that is about to buy brings `GAIN`
# of its deal (a smaller discount, say). Then a visit pays where `p * GAIN * amount > cost`. If probabilities come
# true, the curve of real profit is at its top near the threshold that theory names. See how flat the top is, and how
# steep the fall on its left: to visit too many costs far more than to visit too few.

# %%
GAIN = 0.10
benefit = GAIN * worth.mean()
threshold = visit.cost / benefit
grid = np.linspace(0.005, 0.8, 120)
profit = np.array([(won[p > t] * benefit - visit.cost).sum() for t in grid])
figure, axes = plt.subplots(figsize=(7.5, 3.4))
axes.plot(grid, profit)
axes.axvline(threshold, color="grey", linestyle="--", linewidth=1, label=f"cost / benefit = {threshold:.2f}")
axes.axhline(0, color="black", linewidth=0.8)
axes.set(xlabel="visit where the probability exceeds", ylabel=f"profit in {agreement.reporting_currency}")
axes.legend()
plt.show()

# %% [markdown]
# ## What calibration is worth
#
# Bend the probabilities and keep their order: AUC and every ranking stay the same, to the digit. Yet the threshold
# now stands at another place. The bent scales are those of a model that is twice too sure, too timid, or right for a
# market in which wins are three times as likely. The change of profit, with its 90 % interval over accounts, is what
# calibration is worth here: beyond doubt for whoever visits too many, within luck where the top is flat.

# %%
bent = {"calibrated": logit, "too sure": 2 * logit, "too timid": 0.4 * logit, "other base rate": logit + np.log(3)}
drawn = Bootstrap.of(won, data.account_id[asked])
brings = won * benefit - visit.cost
rows = []
for name, values in bent.items():
    visited = sigmoid(values) > threshold
    changed = drawn.mean((visited * 1.0 - (p > threshold)) * brings * len(won))
    change = f"{changed.value:+,.0f} ({changed.low:+,.0f} to {changed.high:+,.0f})"
    rows.append((name, f"{auc(won, values):.4f}", sigmoid(values).mean(), visited.sum(), brings[visited].sum(), change))
scales = pd.DataFrame(rows, columns=["scale", "AUC", "mean probability", "visits", "profit", "change of profit"])
scales.round({"mean probability": 3, "profit": 0})

# %% [markdown]
# ## Intervals
#
# A probability from few outcomes has an interval. Where the whole interval lies on one side of the threshold the
# decision is clear; where it straddles it, a cheap step that tells more (a call) may come before a dear one (a
# visit).

# %%
bottom, top = bundle.calibration.band.interval(bundle.scorer.margin(X), logit)
decision = np.select([bottom > threshold, top < threshold], ["visit", "leave"], default="call first")
order = np.argsort(p)
colours = pd.Series(decision[order]).map({"visit": "#1f5fa8", "leave": "#b8bec6", "call first": "#d9822b"})
figure, axes = plt.subplots(figsize=(8, 3.4))
axes.vlines(np.arange(len(p)), bottom[order], top[order], colors=colours, linewidth=0.8)
axes.plot(np.arange(len(p)), p[order], color="black", linewidth=1)
axes.axhline(threshold, color="grey", linestyle="--", linewidth=1)
axes.set(xlabel="snapshots by probability", ylabel="probability, 90 % interval")
plt.show()
pd.DataFrame({"decision": decision, "snapshots": 1, "won": won, "p": p}).groupby("decision").agg(
    snapshots=("snapshots", "sum"), predicted=("p", "mean"), won=("won", "mean")
).round(3)

# %% [markdown]
# Ranked by the *lower end* the twenty are nearly the same: the band belongs to the score, so it grows smoothly along
# the ranking. What changes is how far down one goes. Who must not waste a visit lets only the lower end clear the
# threshold: fewer visits, more of them right, less profit in all. Who must not miss a win takes the upper end.

# %%
ranks = [pd.Series(-by).groupby(as_of).rank(method="first").to_numpy() for by in (p, bottom)]
same = np.all([rank <= visit.capacity for rank in ranks], axis=0).sum() / (ranks[0] <= visit.capacity).sum()
print(f"{same:.0%} of the visits within capacity are the same")
rows = []
for name, by in {"lower end": bottom, "probability": p, "upper end": top}.items():
    visited = by > threshold
    rows.append(
        (name, visited.sum(), won[visited].mean(), brings[visited].sum(), brings[visited].sum() / visited.sum())
    )
columns = ["clears the threshold", "visits", "share that won", "profit", "profit per visit"]
pd.DataFrame(rows, columns=columns).round({"share that won": 3, "profit": 0, "profit per visit": 0})

# %%
scratch.cleanup()

# %% [markdown]
# ## What to try next
#
# - Set `GAIN` to what an experiment of your own found. Below which value does no visit pay?
# - Give the agreement your own costs and capacities, `Agreement.load(Path("smarketing.toml"))`, and another goal.
# - A visit does not help most where a win is most likely: an effect of `d` in log-odds adds
#   `sigmoid(L + d) - p`, most of all in the middle. Rank by that, and see who moves.
# - Replace `won` by the true probabilities of a simulated market (`Rollouts` of `features.synthetic`): how much of
#   the distance between model and seer is luck that nobody can foresee?
