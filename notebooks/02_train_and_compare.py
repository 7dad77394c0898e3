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
# # Train and compare
#
# From a ledger to a champion: labelled snapshots, a ladder of models from the simplest up, intervals on every figure,
# two runs on record in MLflow, a comparison, a promotion through the gates, and the way back.

# %%
import logging
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Image

from features.agreement import Agreement
from features.intake.ingest import ingest
from features.intake.jobs import plan
from features.intake.rows import RowParser
from features.ledger import Ledger
from features.synthetic import PRESETS, simulate, write
from models.bundle_cache import BundleCache
from training.comparison import compare
from training.config import load_config
from training.dataset import build_dataset
from training.delivery import deliver
from training.gates import judge
from training.holdout import holdout_of
from training.promotion import bring, promote, rollback
from training.registry import Registry
from training.run import train_on

scratch = tempfile.TemporaryDirectory(prefix="smarketing-")
folder = Path(scratch.name)
# MLflow reports every table that it makes in its new store.
logging.getLogger("alembic").setLevel(logging.WARNING)

# %% [markdown]
# ## A ledger
#
# The market of the first notebook, with more accounts. With data of your own, open your ledger instead of these
# lines.

# %%
UNTIL = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
write(simulate(replace(PRESETS["demo"], accounts=500), seed=7, until=UNTIL), folder / "market")
with Ledger.open(folder / "smarketing.db") as ledger:
    ingest(ledger, RowParser(Agreement.load(), ledger.email_key()), plan([folder / "market"], None)[0])
    tables = ledger.tables()

# %% [markdown]
# ## Snapshots
#
# A row is an account at a moment. Moments come from a grid (here every four weeks, so that the notebook is quick) and
# from just after something happened, because that is when scores are asked for. Look at the gap between what teaches
# and what judges: rows whose outcome would reach into the test are *purged*, and the youngest, whose outcome is not
# complete, are *censored*.

# %%
quick = ["snapshots.every=28", "data.max_train=1500", "data.max_test=1200", "split.folds=3"]
quick += ["lightgbm.learning_rate=0.2"]
agreement, config = load_config(None, goal="won_90d", settings=quick, seed=1)
data = build_dataset(tables, agreement, config)
month = data.as_of.astype("datetime64[us]").astype("datetime64[M]").astype(str)
part = pd.Series(np.where(data.split.train, "teaches", "judges"), name="")
pd.crosstab(month, part).plot.bar(stacked=True, figsize=(9, 3), xlabel="", ylabel="snapshots", width=0.85)
plt.show()
pd.Series(vars(data.counts), name="snapshots").to_frame().T

# %% [markdown]
# ## The ladder
#
# Six models of rising skill, on the same rows. The rule that marketing wrote down, `points`, is one of them. Left to
# itself a run chooses the best rung out of fold, inside training; here the goal pins a plain logistic regression,
# where many teams begin. Behind each figure stands half of its 90 % interval, from a bootstrap that draws whole
# accounts.

# %%
pinned = replace(config, goal=replace(config.goal, rung="logistic"))
trained = train_on(data, agreement, pinned)
report = trained.report
shown = ["auc", "pr_auc", "brier", "log_loss", "ece", "calibration_slope", "lift_at_10"]
print(f"rung: {report.best}; {report.outcomes_train} winning accounts taught, {report.outcomes_test} judge")
pd.DataFrame(
    {
        rung.name: {name: f"{one.value:.3f} ±{one.half:.3f}" for name in shown if (one := rung.parts["use"].get(name))}
        for rung in report.rungs
    }
).T[shown].fillna("")

# %% [markdown]
# ## Differences, in pairs
#
# Intervals of two models may overlap although one is surely better, because the same accounts are hard for both. Look
# at the difference itself: log loss of each rung minus that of the pinned one, on the same draws. Only where the line
# stays off 0 may one be called better, or worse.

# %%
figure, axes = plt.subplots(figsize=(8, 2.8))
others = [rung for rung in report.rungs if rung.difference]
for place, rung in enumerate(others):
    found = rung.difference["use"]["log_loss"]
    colour = "#1f5fa8" if found.excludes_zero else "grey"
    axes.errorbar(found.value, place, xerr=found.half, fmt="o", color=colour, capsize=3)
axes.axvline(0, color="black", linewidth=1)
axes.set_yticks(range(len(others)), [rung.name for rung in others])
axes.set_xlabel(f"log loss minus that of {report.best}: left of 0 is better")
plt.show()

# %% [markdown]
# ## On record
#
# `deliver` does what `smarketing train` does: it saves the bundle, checks it in a process of its own, writes the run
# to MLflow and registers the version. The first version of a goal becomes champion if it passes its own gates. Read
# them: a gate refuses on evidence, not on doubt.

# %%
registry: Registry = Registry(f"sqlite:///{folder / 'mlflow.db'}", (folder / "mlartifacts").as_uri())
cache = BundleCache(folder / "smarketing.bundles")
first = deliver(trained, tables, agreement, registry, cache, promoting=False, say=lambda message: None)
print(first.text())

# %% [markdown]
# Everything is in the run: parameters, measures with intervals, the report as one page, and its pictures. Here are
# three of them. Reliability: dots on the diagonal come true; the bars are 90 % intervals, wide with few outcomes.

# %%
import mlflow

mlflow.set_tracking_uri(registry.uri)
pictures = Path(mlflow.artifacts.download_artifacts(run_id=first.registered.run_id, dst_path=str(folder / "run")))
Image(pictures / "reliability.png")

# %% [markdown]
# Lift: how many times the base rate is found among the best so many percent.

# %%
Image(pictures / "lift.png")

# %% [markdown]
# Calibration over time: the slope of each week of the test. Within the grey band probabilities are as extreme as they
# should be; below it they are too extreme. A trend would be drift.

# %%
Image(pictures / "weekly_slope.png")

# %% [markdown]
# ## A second run
#
# Now the evidence chooses. While fewer than 200 winning accounts speak, the rung to beat is `shrunk`, a logistic
# regression drawn towards the rule. The new version is the *challenger* and answers nobody yet.

# %%
chosen = train_on(data, agreement, config)
print(chosen.report.verdict())
second = deliver(chosen, tables, agreement, registry, cache, promoting=False, say=lambda message: None)
listed = [
    (one.registered.shown, ", ".join(one.aliases), one.tags["smarketing.rung"], one.metrics["test.log_loss"])
    for one in registry.versions("won_90d")
]
pd.DataFrame(listed, columns=["version", "alias", "rung", "log loss on its test"])

# %% [markdown]
# ## Compare
#
# Both on the same snapshots, none of which has taught either: what they were told, what they read, how they do. Look
# for "may be chance" before you look at the figures.

# %%
versions = [registry.find("won_90d", delivered.registered.shown) for delivered in (first, second)]
bundles = [bring(registry, cache, version.registered) for version in versions]
holdout = holdout_of(data, bundles)
print(compare((versions[0], bundles[0]), (versions[1], bundles[1]), holdout).text())

# %% [markdown]
# ## Promote, and roll back
#
# The gates judge the challenger against the champion. Only if none refuses do the aliases move, in the registry and
# in the cache that a running service answers from. If one refuses, the text says which, and what to do.

# %%
verdict = judge(bundles[1], bundles[0], holdout, config)
print(verdict.text())
promoted = promote(registry, cache, second.registered, verdict)
print(f"\npromoted: {promoted}; version {registry.champion('won_90d').shown} answers")

# %% [markdown]
# A rollback needs no gate and no retraining: the version that answered before answers again within a second.

# %%
if promoted:
    rollback(registry, cache, "won_90d")
pd.Series(
    {one.registered.shown: ", ".join(one.aliases) for one in registry.versions("won_90d")}, name="alias"
).to_frame()

# %%
scratch.cleanup()

# %% [markdown]
# ## What to try next
#
# - Set `snapshots.event_share=0`: rows of the grid alone. How does the base rate change, and why may the two reports
#   not be compared?
# - Double the accounts of the market. How much narrower do the intervals become? From 200 winning accounts on,
#   LightGBM is the rung to beat.
# - Keep a run: give `Registry.beside("smarketing.db")` instead, then `mlflow ui --backend-store-uri
#   sqlite:///mlflow.db`.
# - The same by hand: `smarketing train`, `smarketing models diff`, `promote`, `rollback`. Then go on with
#   `03_explain`.
