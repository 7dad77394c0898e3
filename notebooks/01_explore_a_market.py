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
# # Explore a market
#
# Before any model: what is in the books of a company that sells to companies, how its two clocks run, and what a
# model is told of an account at a moment. The market is simulated, small, and the same on every machine; your own
# ledger opens with the same calls.

# %%
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from features.agreement import Agreement
from features.catalogue import catalogue
from features.intake.ingest import ingest
from features.intake.jobs import plan
from features.intake.rows import RowParser
from features.labels import Cases
from features.ledger import Ledger
from features.offline import evaluate
from features.online import Evaluator
from features.relations import build
from features.schema import DAY
from features.synthetic import PRESETS, simulate, write

scratch = tempfile.TemporaryDirectory(prefix="smarketing-")
folder = Path(scratch.name)
pd.options.display.max_colwidth = 100

# %% [markdown]
# ## A market and its ledger
#
# `simulate` lets a vendor of software live through two years and returns two things: the tables its systems would
# send, and the truth that nobody could see. Times are whole microseconds since 1970, in UTC.

# %%
UNTIL = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
simulation = simulate(replace(PRESETS["demo"], accounts=300), seed=7, until=UNTIL)
write(simulation, folder / "market")
pd.Series({name: table.num_rows for name, table in simulation.tables.items()}, name="rows sent").to_frame()

# %% [markdown]
# Intake loses nothing silently. Look for `duplicates` (sent twice), `corrected` (a later revision of the same row)
# and `unattached` (a touch of somebody whose account is not known yet).

# %%
agreement = Agreement.load()
with Ledger.open(folder / "smarketing.db") as ledger:
    summary = ingest(ledger, RowParser(agreement, ledger.email_key()), plan([folder / "market"], None)[0])
    tables, sent = ledger.tables(), ledger.export("touchpoints").to_pandas()
pd.Series({name: count for name, count in summary.as_dict().items() if name != "reasons"}, name="rows").to_frame()

# %% [markdown]
# ## Touches
#
# A touch is *inbound* when the account acts, *outbound* when we do, *internal* when nobody outside noticed, and a
# *signal* when it was heard of elsewhere. Look at the colours, not at the names: even channels that we pay for mostly
# record what the account did with what we sent (an e-mail that nobody clicked is no touch).

# %%
touches = tables["account_touches"].to_pandas()
by_channel = touches.groupby(["channel", "direction"]).size().unstack(fill_value=0)
by_channel = by_channel.loc[by_channel.sum(axis=1).sort_values().index]
by_channel.plot.barh(stacked=True, figsize=(8, 4), xlabel="touches in two years", ylabel="", width=0.8)
plt.show()

# %% [markdown]
# ## Two clocks
#
# Each row knows when it happened (`occurred_at`) and when we learnt of it (`known_at`). Most web touches arrive
# within minutes, guest lists of events within days; every fifth web touch gets its account only when a device is
# recognised. Whatever lies right of the dashed line could not enter a score given a day after it happened.

# %%
touches["late_hours"] = (touches["known_from"] - touches["occurred_at"]).clip(lower=3_600_000) / (DAY / 24)
figure, axes = plt.subplots(figsize=(8, 3.4))
for source, late in touches.groupby("source")["late_hours"]:
    axes.plot(np.sort(late), np.linspace(0, 1, len(late)), label=source)
axes.axvline(24, color="grey", linestyle="--", linewidth=1)
axes.set(xscale="log", xlabel="hours from happening to being known", ylabel="share of touches known by then")
axes.legend()
plt.show()

# %% [markdown]
# A correction closes the old row and opens a new one: nothing is overwritten. Both revisions of one touch stand
# below. A computation as of a moment between the two `known_at` sees the first, today's sees the second.

# %%
corrected = sent[sent["revision"] == 2].iloc[0]
history = sent[(sent["source"] == corrected["source"]) & (sent["event_id"] == corrected["event_id"])]
clocks = {name: pd.to_datetime(history[name].clip(upper=UNTIL), unit="us") for name in ("occurred_at", "known_at")}
history[["event_id", "revision", "channel", "touch_type"]].assign(**clocks)

# %% [markdown]
# ## Stages
#
# Stage changes and deals together say where a cycle stands. The bars count accounts that ever stood at a stage of a
# *new* cycle: the first step loses the most.

# %%
relations = build(tables, agreement)
stages = relations.tables["stages"].to_pandas()
new = stages[(stages["kind"] == "new") & (stages["valid_from"] < stages["valid_until"])]
reached = new.groupby("stage")["account"].nunique().reindex([*agreement.stages.order, *agreement.stages.terminal])
reached.dropna().plot.bar(figsize=(8, 3), ylabel="accounts", xlabel="", rot=0, color="#1f5fa8")
plt.show()

# %% [markdown]
# ## Buying groups
#
# Companies do not buy, people in them do. Left: how many people of an account took part; right: in which role they
# touch us, for accounts that won a deal and for the others. Breadth goes with winning, roles hardly do: in this
# market they do not change the chances. Mind that winners had more time to gather people; features look at a moment
# instead.

# %%
seen = relations.tables["touches"].to_pandas()
people = seen[seen["contact_id"].notna()]
won = new.loc[new["stage"] == "won", "account"].unique()
outcome = pd.Series(np.where(people["account"].isin(won), "won", "not won"), people.index, name="")
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4), width_ratios=(1, 1.4))
size = people.groupby(["account", outcome])["contact_id"].nunique().unstack()
left.hist([size["not won"].dropna(), size["won"].dropna()], bins=np.arange(0.5, 9.5), density=True)
left.set(xlabel="people who took part", ylabel="share of accounts")
roles = pd.crosstab(people["role"].fillna("unknown"), outcome, normalize="columns")
roles.plot.barh(ax=right, xlabel="share of touches by people", ylabel="", width=0.8)
plt.tight_layout()
plt.show()

# %% [markdown]
# ## Goals and base rates
#
# A goal asks: does an account that stands at one of these stages reach another within so many days? `Cases` knows to
# whom a goal applies when, as known *then*, and what became of it, as known *now*. The last rows have no complete
# outcome yet and are left out: they are *censored*. Compare base rates before you compare models.

# %%
moments = np.arange(UNTIL - 700 * DAY, UNTIL, 14 * DAY)
rows = []
for goal in agreement.goals.values():
    cases = Cases.of(tables, relations, agreement, goal)
    pairs = cases.at(moments)
    known = pairs.take(cases.complete(pairs))
    labels = cases.label(known)
    amount = np.nanmedian(labels.amount) if np.isfinite(labels.amount).any() else np.nan
    share = labels.label.mean() if len(labels.label) else np.nan
    rows.append((goal.name, len(pairs.account), len(known.account), share, amount))
pd.DataFrame(rows, columns=["goal", "snapshots", "complete", "base rate", "median amount won"]).round(3)

# %% [markdown]
# ## What is known of an account at a moment
#
# Features are declared once, with their meaning in words. Here is one account as of the first of October, as the
# service would see it: the ten behaviours with the largest counts, in the words that people read.

# %%
declared = catalogue(agreement)
online = Evaluator(declared)
busiest = relations.account_ids[seen["account"].mode()[0]]
as_of = UNTIL - 92 * DAY
values = online.evaluate(online.prepare(relations, busiest), as_of)
told = pd.DataFrame(
    [
        (one.concept, one.dtype, one.name, value, one.phrase(value, "en"))
        for one, value in zip(declared.features, values)
    ],
    columns=["concept", "dtype", "feature", "value", "in words"],
)
largest = told[told["dtype"] == "count"].sort_values("value", ascending=False)
largest.drop_duplicates("concept").head(10).drop(columns="dtype")

# %% [markdown]
# ## One definition, two engines
#
# Training evaluates millions of snapshots with DuckDB; the service evaluates one account in less than a millisecond
# with numpy. Both read the same declarations. The largest difference over 300 random (account, moment) pairs should
# be nothing but rounding: this is what makes a score in training the score in use.

# %%
random = np.random.default_rng(1)
accounts = random.choice(relations.account_ids, 300)
at = random.integers(UNTIL - 600 * DAY, UNTIL, 300)
offline = evaluate(relations, accounts.tolist(), at, declared)
one_by_one = [online.evaluate(online.prepare(relations, one), int(when)) for one, when in zip(accounts, at)]
live = pd.DataFrame(one_by_one, columns=declared.names)
numbers = [feature.name for feature in declared.features if feature.dtype != "category"]
texts = [name for name in declared.names if name not in numbers]
batch = offline.to_pandas()
gap = (batch[numbers] - live[numbers].astype(float)).abs().max().max()
assert (batch[numbers].isna() == live[numbers].isna()).all(axis=None) and gap < 1e-9
assert batch[texts].astype(object).where(batch[texts].notna(), None).equals(live[texts].astype(object))
print(f"{batch.size:,} values compared; largest difference {gap:.1e}")

# %% [markdown]
# ## A feature is a function of time
#
# No nightly job refreshes anything: decay is evaluated when somebody asks. Each tick below is an inbound touch; the
# curves jump with it and halve with their half-life. Right of the dashed line lies the future in which nothing more
# happens, and it can be asked for just as well.

# %%
prepared = online.prepare(relations, busiest)
days = np.arange(-240, 61)
decays = ["inbound_decay_7d", "inbound_decay_30d", "inbound_decay_90d"]
places = [declared.names.index(name) for name in decays]
curves = [[online.evaluate(prepared, UNTIL + int(day) * DAY)[place] for place in places] for day in days]
figure, axes = plt.subplots(figsize=(9, 3.2))
axes.plot(days, curves, label=decays)
own = seen[(seen["account"] == relations.code(busiest)) & (seen["direction"] == "inbound")]
ticks = (own["occurred_at"].to_numpy() - UNTIL) / DAY
axes.plot(ticks[ticks > days[0]], np.zeros((ticks > days[0]).sum()), "|", color="black", markersize=12)
axes.axvline(0, color="grey", linestyle="--", linewidth=1)
axes.set(xlabel="days from the end of the ledger", ylabel="decayed inbound touches")
axes.legend()
plt.show()

# %%
scratch.cleanup()

# %% [markdown]
# ## What to try next
#
# - Turn a dial of the market, `replace(PRESETS["demo"], confounding=0.0)`, and see which channels become busier for
#   accounts that will win. `simulation.truth` holds what nobody could see.
# - Ask `Cases` for `sql_30d` with the stages of your own agreement: `Agreement.load(Path("smarketing.toml"))`.
# - Open your own ledger: `Ledger.open("smarketing.db", must_exist=True)`, and run everything from *Touches* on.
# - Go on with `02_train_and_compare`.
