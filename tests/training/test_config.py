from __future__ import annotations

import json
from pathlib import Path

import pytest

from features.errors import AgreementError, UnknownError
from training.config import load_config

ROOT = Path(__file__).resolve().parents[2]
WRONG = sorted((ROOT / "tests" / "configs").glob("training_*.toml"))


def test_without_files_the_agreement_decides_everything():
    agreement, config = load_config(None)
    assert config.goal == agreement.goal()
    assert config.snapshots == agreement.snapshots
    assert config.split == agreement.split


def test_a_setting_wins_over_a_file_and_a_file_over_the_agreement(tmp_path):
    file = tmp_path / "training.toml"
    file.write_text("[snapshots]\nevery = 3\n[data]\nmax_train = 500\n")
    _, config = load_config(None, training=file, settings=["data.max_train=700", "snapshots.tz=Europe/Berlin"])
    assert (config.snapshots.every, config.data.max_train, config.snapshots.tz) == (3, 700, "Europe/Berlin")


def test_what_differs_from_the_defaults_of_lightgbm_is_kept():
    _, config = load_config(None, settings=["lightgbm.num_leaves=7"])
    assert dict(config.lightgbm) == {"num_leaves": 7}


def test_the_whole_configuration_is_plain_and_flat():
    _, config = load_config(None, settings=["split.test_from=2012-01-15"])
    flat = config.flat()
    assert flat["split.test_from"] == "2012-01-15"
    assert flat["goal.from"] == ["lead", "mql", "bql", "sql", "deal"]
    assert json.loads(json.dumps(flat)) == flat


@pytest.mark.parametrize("file", WRONG, ids=lambda path: path.stem)
def test_a_wrong_training_file_is_refused_by_name_with_the_mend(file):
    told = file.read_text().splitlines()[0].removeprefix("# ")
    with pytest.raises(AgreementError) as caught:
        load_config(None, training=file)
    assert file.name in str(caught.value)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("data.max_trains=5", "Did you mean 'max_train'"),
        ("max_train=5", "table.key=value"),
        ("dta.max_train=5", "Did you mean 'data'"),
        ("data.max_train", "table.key=value"),
        ("data.max_train=ten", "Got 'ten'"),
        ("lightgbm.learning_rate=-1", "greater than 0"),
    ],
)
def test_a_wrong_setting_is_refused(setting, told):
    with pytest.raises(AgreementError, match=told):
        load_config(None, settings=[setting])


def test_an_unknown_goal_suggests_the_nearest():
    with pytest.raises(UnknownError, match="won_90d"):
        load_config(None, goal="won_09d")


def test_the_shipped_protocol_of_bpic2012_is_valid():
    examples = ROOT / "examples"
    _, config = load_config(examples / "bpic2012.agreement.toml", training=examples / "bpic2012.training.toml")
    assert config.goal.name == "won_30d"
    assert config.data.max_train >= 14_093
    assert config.data.max_test >= 38_046
