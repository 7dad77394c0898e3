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
# # Explain
#
# Why is a score what it is? Contributions of features in log-odds, exact Shapley values, that add up to the
# calibrated score: drawn with the `shap` package, grouped by concept, told in percentage points and in words.

# %%
import tempfile
import warnings
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import lightgbm
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from features.agreement import Agreement
from features.intake.ingest import ingest
from features.intake.jobs import plan
from features.intake.rows import RowParser
from features.ledger import Ledger
from features.synthetic import PRESETS, simulate, write
from models.bundle import load_bundle
from models.explain import Explainer
from models.metrics import sigmoid
from models.rungs import LIGHTGBM
from training.config import load_config
from training.dataset import build_dataset
from training.run import train_on

scratch = tempfile.TemporaryDirectory(prefix="smarketing-")
folder = Path(scratch.name)
# What shap, and what it uses, say of widgets, of LightGBM and of numpy changes no number here.
warnings.filterwarnings("ignore", message="IProgress not found")
warnings.filterwarnings("ignore", message="LightGBM binary classifier with TreeExplainer")
warnings.filterwarnings("ignore", message="The NumPy global RNG was seeded", category=FutureWarning)

# %% [markdown]
# ## A champion to explain
#
# A small market, and LightGBM pinned as the rung, because trees are where explaining gets interesting.

# %%
UNTIL = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
write(simulate(replace(PRESETS["demo"], accounts=400), seed=7, until=UNTIL), folder / "market")
with Ledger.open(folder / "smarketing.db") as ledger:
    ingest(ledger, RowParser(Agreement.load(), ledger.email_key()), plan([folder / "market"], None)[0])
    tables = ledger.tables()

quick = ["snapshots.every=28", "data.max_train=1500", "data.max_test=800", "split.folds=3"]
quick += ["lightgbm.learning_rate=0.2"]
agreement, config = load_config(None, goal="won_90d", settings=quick, seed=1)
config = replace(config, goal=replace(config.goal, rung="lightgbm"))
data = build_dataset(tables, agreement, config)
trained = train_on(data, agreement, config)
trained.save(folder / "bundle", trained_at=UNTIL)
bundle = load_bundle(folder / "bundle")
print(
    f"{bundle.rung}, {len(bundle.encoding.names)} features, AUC {trained.report.champion.test['auc']:.3f} on the test"
)

# %% [markdown]
# ## They add up
#
# The trees give a margin, and calibration makes it `L = a * margin + b`. A line keeps sums: multiply every
# contribution by `a`, and they add up to the calibrated log-odds of the very probability that is shown. `L0` is the
# *reference account*.

# %%
test = data.split.test
X = trained.X[test]
a, b = bundle.calibration.a, bundle.calibration.b
raw = bundle.scorer.contributions(X)
added, base = a * raw[:, :-1], a * raw[:, -1] + b
logit = bundle.logit(X)
gap = np.abs(base + added.sum(axis=1) - logit).max()
assert gap < 1e-9
print(f"L = {a:.3f} * margin {b:+.3f}; p0 = {sigmoid(base[:1])[0]:.3f}; largest gap of {len(X):,} sums: {gap:.1e}")

# %% [markdown]
# `shap` gives the same numbers, because for LightGBM it asks the booster, as we do. An opinion of its own follows under
# *Interactions*.

# %%
import shap

theirs = a * shap.TreeExplainer(bundle.scorer.booster).shap_values(X)
assert np.abs(theirs - added).max() < 1e-9
print(f"largest difference of {theirs.size:,} values: {np.abs(theirs - added).max():.1e}")

# %% [markdown]
# ## One account: a waterfall
#
# From the reference account to one of the keenest of the test, the largest contributions first. Read it from the
# bottom: each bar pushes the log-odds right (more likely) or left. Several windows of one behaviour may share one
# push.

# %%
names = list(bundle.encoding.names)
texts = data.table.filter(test).to_pandas().to_numpy(dtype=object)
explained = shap.Explanation(added, base_values=base, data=X, display_data=texts, feature_names=names)
keen = int(np.argsort(-logit)[len(logit) // 50])
shap.plots.waterfall(explained[keen], max_display=12, show=False)
plt.show()

# %% [markdown]
# ## The same in words and in percentage points
#
# Windows of one behaviour are one *concept*, and people think in points of probability. The share of each in
# `p - p0` is that of its log-odds in `L - L0`: the sum stays exact and depends on no order. This is what the service
# answers.

# %%
values = [list(row.values()) for row in data.table.filter(test).to_pylist()]
answers = Explainer(bundle, data.catalogue.features, agreement.grades)
answer = answers.explain(values[keen])
points = sum(one.percentage_points for one in answer.contributions)
assert abs(points - 100 * (answer.probability - answer.base_probability)) < 1e-9
print(f"probability {answer.probability:.3f}, from {answer.base_probability:.3f} of the reference account")
print(f"score {answer.score}, grade {answer.grade}, 90 % interval {answer.interval[0]:.2f} to {answer.interval[1]:.2f}")
for reason in (*answer.up, *answer.down):
    print(f"{reason.percentage_points:+6.1f} points  {reason.texts['en']}")
concepts = pd.DataFrame(answer.by_concept(), index=["log-odds", "percentage points"]).T
concepts.loc[concepts["log-odds"].abs().sort_values(ascending=False).index].head(8).round(3)

# %% [markdown]
# ## All accounts: a beeswarm
#
# A dot is a snapshot, its place is what the feature adds, its colour is the feature's value. Look for features where
# colour and side agree: there more is better, or worse. Grey dots have no value; colours of a category mean nothing.

# %%
np.random.seed(0)  # shap spreads its dots at random
shap.plots.beeswarm(explained, max_display=14, show=False)
plt.show()

# %% [markdown]
# Summed by concept, the many windows of one behaviour no longer compete for a place. Compare the order with that
# above: what looked small, spread over many features, may lead.

# %%
of_feature = np.array([feature.concept for feature in data.catalogue.features])
by_concept = pd.Series(
    {name: np.abs(added[:, of_feature == name].sum(axis=1)).mean() for name in np.unique(of_feature)}
)
by_concept.nlargest(14)[::-1].plot.barh(figsize=(8, 4.2), color="#1f5fa8", xlabel="mean |contribution| in log-odds")
plt.show()

# %% [markdown]
# ## Dependence
#
# How the strongest number acts where most of its values lie. Steps are splits of the trees; vertical spread at one
# value is what other features do to it, and the colour is the one that interacts most.

# %%
numeric = [place for place, feature in enumerate(data.catalogue.features) if feature.dtype != "category"]
strength = np.abs(added).mean(axis=0)
strongest = max(numeric, key=lambda place: strength[place])
shap.plots.scatter(explained[:, strongest], color=explained, xmax="percentile(98)", show=False)
plt.show()

# %% [markdown]
# ## Interactions
#
# A Shapley value splits into what a feature does alone and what it does with each other one. For this `shap` walks
# the trees itself, and it can not walk splits by category; so here is a booster on the numbers alone, with the stage
# as its rank. Interactions summed over one of their features are that feature's contribution as LightGBM computes it:
# the second opinion.

# %%
stage = data.table["new_stage"].to_pylist()
rank = [np.nan if one is None else agreement.stages.position(one) for one in stage]
Z = np.column_stack([trained.X[:, numeric], rank])
called = [names[place] for place in numeric] + ["rank of new_stage"]
teach = data.split.train
taught = lightgbm.Dataset(Z[teach], data.label[teach], weight=data.weight[teach], params={"verbosity": -1})
params = {**LIGHTGBM, **config.lightgbm, "seed": 1}
booster = lightgbm.train(params, taught, num_boost_round=trained.report.champion.trees)
few = Z[test][:150]
interactions = shap.TreeExplainer(booster).shap_interaction_values(few)
difference = np.abs(interactions.sum(axis=2) - booster.predict(few, pred_contrib=True)[:, :-1]).max()
assert difference < 1e-9
print(f"shap's walk against LightGBM's: {difference:.1e}")

# %% [markdown]
# The brighter a square, the less its two features can be read apart. Mind the scale: even the brightest is small
# beside the contributions above, so what these trees know is nearly a sum.

# %%
mean = np.abs(interactions).mean(axis=0)
top = np.argsort(-mean.sum(axis=1))[:10]
figure, axes = plt.subplots(figsize=(6.5, 5))
# Each pair stands twice in the table, half in each place.
picture = axes.imshow(np.where(np.eye(len(top)), np.nan, 2 * mean[np.ix_(top, top)]), cmap="viridis")
axes.set_xticks(range(len(top)), [called[place] for place in top], rotation=60, ha="right")
axes.set_yticks(range(len(top)), [called[place] for place in top])
figure.colorbar(picture, label="mean |interaction| in log-odds")
plt.show()

# %%
scratch.cleanup()

# %% [markdown]
# ## What to try next
#
# - Explain the account in the middle, `np.argsort(logit)[len(logit) // 2]`. Which reasons cancel each other?
# - A contribution is not an effect. `Display` has none in this market, by construction: does the model credit
#   `display_90d`? If so, to what does the exposure owe it?
# - Pin `rung="logistic"` and draw the same pictures: `bundle.scorer.contributions` has the same shape, and needs no
#   tree.
# - Go on with `04_decide`.
