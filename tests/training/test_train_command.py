from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from features.ledger import Ledger
from models.bundle import load_bundle
from models.bundle_cache import BundleCache
from smarketing import app
from training.config import load_config
from training.dataset import build_dataset
from training.evaluation_record import evaluate
from training.holdout import holdout_of
from training.registry import Registry
from training.run_record import RunRecord

QUICK = (
    "--set=snapshots.every=14", "--set=data.max_train=600", "--set=data.max_test=400", "--set=data.min_positives=10",
    "--set=split.folds=3", "--set=lightgbm.learning_rate=0.3", "--set=lightgbm.max_bin=15",
    "--set=lightgbm.num_threads=1",
)  # fmt: skip

FEW = ("data.max_train=300", "data.max_test=200", "data.min_positives=5")

TWO_GOALS = """
default_goal = "sql_30d"
[goals.sql_30d]
kind = "new"
from = ["lead", "mql", "bql"]
reach = "sql"
within_days = 30
[goals.won_900d]
kind = "new"
from = ["lead", "mql", "bql", "sql", "deal"]
reach = "won"
within_days = 900
"""
"""The market is younger than the horizon of the second goal."""


@pytest.fixture(autouse=True)
def no_other_registry(monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "SMARKETING_CACHE", "SMARKETING_STORE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def market(empty_registry, tmp_path_factory):
    """A simulated market of 200 accounts and 14 months in a ledger, and an empty registry beside it."""
    folder = tmp_path_factory.mktemp("market")
    empty_registry(folder)
    for arguments in (
        ("simulate", "--accounts", "200", "--months", "14", "--until", "2026-11-01", "--out", str(folder / "files")),
        ("ingest", str(folder / "files"), "--store", str(folder / "market.db")),
    ):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
    return folder / "market.db"


@pytest.fixture(scope="module")
def first(market):
    """The first training: of every goal of an agreement that has one too many."""
    agreement = market.with_name("agreement.toml")
    agreement.write_text(TWO_GOALS)
    return train(market, "--goal", "all", "--agreement", str(agreement), "--json")


@pytest.fixture(scope="module")
def told(first):
    """What the first training says of the goal that it trained."""
    assert first.exit_code == 0, first.output
    return json.loads(first.stdout)["goals"]["sql_30d"]


@pytest.fixture(scope="module")
def second(market, first):
    return train(market, "--seed", "3", "--set=lightgbm.num_leaves=7")


def train(store, *more):
    return CliRunner().invoke(app, ["train", "--store", str(store), "--goal", "sql_30d", *QUICK, *more])


def test_training_makes_a_champion_that_the_cache_and_the_registry_share(market, told):
    current = BundleCache(market.with_name("smarketing.bundles")).current("sql_30d")
    assert current is not None
    assert (current.digest, current.version) == (told["bundle"], told["version"]) == (told["bundle"], "1.0")
    (champion,) = Registry.beside(str(market)).champions()
    assert (champion.goal, champion.version, champion.digest) == ("sql_30d", 1, told["bundle"])


def test_a_goal_with_too_few_outcomes_is_skipped_when_all_are_trained(first, told):
    document = json.loads(first.stdout)
    assert list(document["goals"]) == ["sql_30d"]
    assert list(document["skipped"]) == ["won_900d"]
    assert "won_900d is skipped" in first.stderr


def test_the_cache_holds_the_bytes_of_the_registry(market, first, tmp_path):
    registry = Registry.beside(str(market))
    fetched = registry.fetch(registry.champions()[0], tmp_path / "fetched")
    cached = BundleCache(market.with_name("smarketing.bundles")).current("sql_30d")
    assert cached is not None
    assert {path.name: path.read_bytes() for path in fetched.iterdir()} == {
        path.name: path.read_bytes() for path in cached.folder.iterdir()
    }


def test_stdout_is_the_result_and_stderr_the_progress(first):
    assert len(first.stdout.splitlines()) == 1
    assert "labelling snapshots" in first.stderr
    assert not any(noise in first.stderr for noise in ("Warning", "INFO", "Created version", "registered model"))


def test_training_again_says_what_it_found_and_what_to_do_next(second):
    assert second.exit_code == 0, second.output
    for words in (
        "AUC",
        "never seen in training",
        "Best rung",
        "left out by sampling",
        "Version 2.0 of smarketing-sql_30d is the challenger",
        "smarketing models promote",
    ):
        assert words in second.stdout
    assert "Next: smarketing serve" in second.stderr


def models(store, *arguments):
    return CliRunner().invoke(app, ["models", *arguments, "--store", str(store)])


def test_the_list_shows_aliases_and_measures_with_intervals(market, first):
    champion = json.loads(models(market, "list", "--json").stdout)[-1]
    assert (champion["version"], champion["aliases"], champion["goal"]) == ("1.0", "champion", "sql_30d")
    assert (
        champion["metrics"]["test.auc.low"] <= champion["metrics"]["test.auc"] <= champion["metrics"]["test.auc.high"]
    )
    assert champion["approved"]


def test_a_difference_names_parameters_and_has_paired_intervals(market, second):
    found = models(market, "diff", "1", "2", "--goal", "sql_30d", "--json", *QUICK)
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    assert told["params"]["lightgbm.num_leaves"] == {"a": "15", "b": "7"}
    assert (told["added"], told["removed"], told["changed"]) == ([], [], [])
    assert {"a", "b", "difference"} == set(told["measures"]["brier"])


def test_a_promotion_ends_with_its_verdict_and_a_rollback_takes_it_back(market, second):
    promoted = models(market, "promote", "--goal", "sql_30d", "--json")
    told = json.loads(promoted.stdout)
    assert told["gates"]["settings"]["data.max_test"] == 20_000
    assert promoted.exit_code == (0 if told["gates"]["passed"] else 4), promoted.output
    assert answering(market) == ("2.0" if told["promoted"] else "1.0")
    if told["promoted"]:
        assert models(market, "rollback", "--goal", "sql_30d").exit_code == 0
    assert answering(market) == "1.0"


def test_no_setting_reaches_the_gates(market, second):
    assert models(market, "promote", "--goal", "sql_30d", "--set=data.max_test=120").exit_code == 2


def test_the_champion_can_be_promoted_once_more_to_mend_the_cache(market, second):
    pointer = market.with_name("smarketing.bundles") / "CURRENT.sql_30d"
    pointer.unlink()
    again = models(market, "promote", "1", "--goal", "sql_30d")
    assert again.exit_code == 0, again.output
    assert "is the champion already" in again.stdout
    assert answering(market) == "1.0"


def test_a_tuned_file_is_not_overwritten(market, tmp_path):
    (tmp_path / "tuned.toml").write_text("[lightgbm]\n")
    told = ["tune", "--store", str(market), "--goal", "sql_30d", "--out", str(tmp_path / "tuned.toml")]
    result = CliRunner().invoke(app, told)
    assert result.exit_code == 2
    assert "exists already" in result.stderr


def test_nothing_to_roll_back_to_is_not_found(market, first):
    result = models(market, "rollback", "--goal", "won_90d")
    assert result.exit_code == 3
    assert "smarketing train --goal won_90d" in result.stderr


def test_a_registered_model_is_measured_on_what_is_new_to_it(market, told, monkeypatch):
    # As `mlflow run` does it: it opens the run and writes the parameters of the entry point into it.
    opened = Registry.beside(str(market)).record([RunRecord("sql_30d", {"version": "1", "goal": "sql_30d"}, {})])[0]
    monkeypatch.setenv("MLFLOW_RUN_ID", opened)
    arguments = ["evaluate", "--store", str(market), "--goal", "sql_30d", "--version", "1", "--json", *QUICK]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    measured = json.loads(result.stdout)
    assert (measured["version"], measured["best"]) == ("1.0", told["best"])
    assert measured["rungs"][0]["parts"]["use"]["auc"]["value"] > 0.5
    assert measured["outcomes_train"] == told["outcomes_train"]
    assert (measured["accounts_unseen"], measured["counts"]["sampled_out"]) == (None, 0)
    assert measured["run_id"] == opened


def test_what_an_evaluation_can_not_know_is_not_told(trained, settings, bundle):
    report = evaluate(load_bundle(bundle), holdout_of(trained.dataset, [load_bundle(bundle)]), *settings)
    assert "not known how many of them never seen in training" in report.text()
    assert not any(word in report.text() for word in ("purged", "left out"))
    assert "never seen" not in json.dumps(report.document()["card"])


def answering(market):
    current = BundleCache(market.with_name("smarketing.bundles")).current("sql_30d")
    assert current is not None
    return current.version


def test_snapshots_of_a_market_are_split_purged_and_counted(market):
    agreement, config = load_config(None, goal="sql_30d", settings=["data.max_train=100000", "data.max_test=100000"])
    with Ledger.open(str(market)) as ledger:
        tables = ledger.tables()
    data = build_dataset(tables, agreement, config)
    split, counts = data.split, data.counts
    assert data.as_of[split.train].max() + split.embargo < data.as_of[split.test].min()
    assert data.as_of.max() + split.embargo <= data.data_until
    assert counts.censored > 0
    assert counts.purged > 0
    assert counts.train + counts.test + counts.purged + counts.censored == counts.eligible
    assert not data.lag_is_assumed
    assert build_dataset(tables, agreement, config).digest == data.digest


def test_a_row_more_is_other_data(market):
    agreement, config = load_config(None, goal="sql_30d", settings=FEW)
    with Ledger.open(str(market)) as ledger:
        tables = ledger.tables()
    fewer = {**tables, "account_touches": tables["account_touches"].slice(0, tables["account_touches"].num_rows - 1)}
    assert build_dataset(tables, agreement, config).digest != build_dataset(fewer, agreement, config).digest


def test_sampling_draws_no_more_than_it_may_and_says_how_many_it_left(market):
    agreement, config = load_config(None, goal="sql_30d", settings=FEW)
    with Ledger.open(str(market)) as ledger:
        data = build_dataset(ledger.tables(), agreement, config)
    assert (data.counts.train, data.counts.test) == (300, 200)
    assert data.counts.sampled_out > 0
    assert np.array_equal(
        data.split.unseen, data.split.test & ~np.isin(data.account_id, data.account_id[data.split.train])
    )


def test_a_store_that_is_not_there_is_not_made(tmp_path):
    result = train(tmp_path / "market.db")
    assert result.exit_code == 3
    assert "There is no store" in result.stderr
    assert "Next:  smarketing ingest" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_empty_ledger_is_told_to_ingest(tmp_path):
    Ledger.open(tmp_path / "empty.db").close()
    result = train(tmp_path / "empty.db")
    assert result.exit_code == 1
    assert "holds no touch" in result.stderr
    assert "smarketing ingest" in result.stderr


def test_too_few_outcomes_are_counted_in_clear_words(market):
    result = train(market, "--set=data.min_positives=100000")
    assert result.exit_code == 1
    assert "reached 'sql' within 30 days" in result.stderr
    assert "at least 100,000" in result.stderr


def test_a_dead_registry_is_noticed_before_anything_is_computed(market, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    result = train(market)
    assert result.exit_code == 1
    assert "did not answer" in result.stderr
    assert "labelling" not in result.stderr


def test_an_unknown_goal_is_not_found(market):
    result = CliRunner().invoke(app, ["train", "--store", str(market), "--goal", "sql_03d"])
    assert result.exit_code == 3
    assert "sql_30d" in result.stderr
