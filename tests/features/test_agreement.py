"""The agreement: the documented file is the defaults, users' files lie over it, and mistakes are named."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.agreement import DEFAULTS, Agreement
from features.algebra import Count, Decayed, Gap, Latest, Ratio, Recency, Sum, Where
from features.errors import AgreementError, UnknownError
from features.toml_section import read_toml
from features.touch_types import TOUCH_TYPES

WRONG = sorted((Path(__file__).parent.parent / "configs").glob("wrong_*.toml"))


@pytest.fixture
def load(tmp_path):
    """Return a function that reads an agreement from its text."""

    def read(text: str) -> Agreement:
        path = tmp_path / "own.toml"
        path.write_text(text, encoding="utf-8")
        return Agreement.load(path)

    return read


def feature(load, text: str):
    """Return the one feature of the user's own that `text` declares."""
    family = 'family = "frequency"\nmeaning = { en = "{things}", zh = "事" }\n'
    (declared,) = load(f"[features.own]\n{family}{text}\n").features
    return declared


def test_the_documented_file_is_the_defaults():
    assert Agreement.load(DEFAULTS) == Agreement.load()


def test_an_empty_file_keeps_every_default(load):
    assert load("") == Agreement.load()


def test_the_defaults_are_those_of_the_design():
    agreement = Agreement.load()
    goal = agreement.goal()
    assert (goal.name, goal.kind, goal.reach, goal.within_days) == ("won_90d", "new", "won", 90)
    assert goal.from_ == ("lead", "mql", "bql", "sql", "deal")
    assert agreement.stages.order == ("lead", "mql", "bql", "sql", "deal", "won")
    assert agreement.stages.terminal == ("lost", "churned", "disqualified")
    assert agreement.sla.marketing_promise == {"mql": 120}
    assert agreement.capacity == 400


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_a_mistake_is_named_with_its_file(path):
    expected = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# says: ")
    with pytest.raises(AgreementError) as caught:
        Agreement.load(path)
    assert expected in str(caught.value)
    assert path.name in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(AgreementError, match=r"none\.toml' can not be read: No such file"):
        Agreement.load(tmp_path / "none.toml")


def test_a_folder_in_place_of_a_file_is_named(tmp_path):
    with pytest.raises(AgreementError, match="can not be read: Is a directory"):
        Agreement.load(tmp_path)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "own.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(AgreementError, match="not UTF-8"):
        Agreement.load(path)


def test_one_key_of_a_table_leaves_the_others(load):
    agreement = load("[sla]\nattempts = 3\n")
    assert agreement.sla.attempts == 3
    assert agreement.sla.feedback_days == Agreement.load().sla.feedback_days


def test_goals_of_the_users_own_replace_the_default_ones(load):
    agreement = load(
        'default_goal = "won_30d"\n[goals.won_30d]\nkind = "new"\nfrom = ["deal"]\nreach = "won"\nwithin_days = 30\n'
    )
    assert list(agreement.goals) == ["won_30d"]
    assert agreement.goal().rung == "best"


def test_points_of_the_users_own_keep_the_default_half_life(load):
    points = load("[points]\ncall = 4\n").points
    assert dict(points.weights) == {"call": 4.0}
    assert points.half_life_days == Agreement.load().points.half_life_days


def test_an_unknown_goal_suggests_the_nearest():
    with pytest.raises(UnknownError, match="Did you mean 'won_90d'"):
        Agreement.load().goal("won90d")


def test_the_test_moments_are_those_of_the_snapshots_unless_given(load):
    snapshots = '[snapshots]\nevery = 3\nat = ["12:00"]\nfrom = 2011-10-15\nto = 2011-12-15\n'
    assert load(snapshots).split.test_every == 3
    assert load(snapshots).split.test_at == (dt.time(12),)
    split = load(snapshots + '[split]\ntest_from = 2012-01-15\ntest_every = 2\ntest_at = ["17:00", "09:00"]\n').split
    assert (split.test_every, split.test_at) == (2, (dt.time(9), dt.time(17)))


def test_a_training_file_wins_key_by_key():
    agreement = Agreement.load(training={"snapshots": {"every": 3}})
    assert (agreement.snapshots.every, agreement.snapshots.tz) == (3, "UTC")


def test_an_own_touch_type_extends_the_vocabulary(load):
    own = '[touch_types.booth_visit]\ncontent_stage = ""\ndirection = "inbound"\nplural = "booth_visits"\nzh = "展位"\n'
    touch_types = load(own + "[points]\nbooth_visit = 3\n").touch_types
    assert touch_types["booth_visit"].content_stage is None
    assert set(touch_types) == set(TOUCH_TYPES) | {"booth_visit"}


def test_a_currency_of_the_users_own(load):
    assert load('[money]\nreporting_currency = "CNY"\n').reporting_currency == "CNY"


@pytest.mark.parametrize(
    ("text", "expression", "unit"),
    [
        (
            'count = "touchpoints"\nwhere = { channel = "Partner" }\nwindow_days = 90',
            Count("touches", Where((("channel", ("Partner",)),)), 90),
            "touches",
        ),
        ('sum = "deals"\ncolumn = "amount"', Sum("deals", "amount"), "amount"),
        ('decayed = "touchpoints"\nhalf_life_days = 7', Decayed(7.0), "touches"),
        ('recency = "deals"\nat = "opened_at"', Recency("deals", at="opened_at"), "days"),
        ('latest = "stage_changes"\ncolumn = "stage"', Latest("stages", "stage"), "stage"),
        ('gap = "touchpoints"\nwindow_days = 30', Gap(days=30), "hours"),
        (
            'numerator = { count = "touchpoints", window_days = 30 }\ndenominator = { count = "touchpoints" }',
            Ratio(Count("touches", days=30), Count("touches")),
            "ratio",
        ),
    ],
)
def test_an_own_feature_is_an_expression_of_the_algebra(load, text, expression, unit):
    declared = feature(load, text)
    assert declared.expression == expression
    assert declared.unit == unit


def test_the_phrases_of_an_own_feature_survive_braces(load):
    declared = feature(load, 'count = "touchpoints"')
    assert declared.phrase(2, "en") == "{things}: 2"
    assert declared.phrase(0, "zh") == "事：无"


def test_grades_follow_the_cuts():
    grades = Agreement.load().grades
    assert [grades.grade(p) for p in (0.95, 0.9, 0.8, 0.5, 0.1)] == ["A", "A", "B", "C", "D"]


@given(st.text(alphabet="abcdefghij_", min_size=1, max_size=12))
def test_no_unknown_key_is_ever_ignored(tmp_path_factory, key):
    known = read_toml(DEFAULTS).keys() | {"features", "touch_types"}
    path = tmp_path_factory.mktemp("own") / "own.toml"
    path.write_text(f"{key} = 1\n", encoding="utf-8")
    if key not in known:
        with pytest.raises(AgreementError, match="Unknown key"):
            Agreement.load(path)


def test_attribution_has_the_defaults_that_are_documented():
    attribution = Agreement.load().attribution
    assert (attribution.transition, attribution.lookback_days, attribution.lookback_touches) == ("won", 180, 0)
    assert (attribution.half_life_days, attribution.step_days, attribution.horizon_days) == (7.0, 7, 180)
    assert "Outbound Sales" in attribution.levers
    assert attribution.outbound == "count"
    assert attribution.models == {}


def test_a_credit_rule_of_the_users_own(load):
    agreement = load('[attribution.models.ours]\nfirst = 0.5\nmiddle = 0.5\nexclude = "Direct"\n')
    (rule,) = agreement.attribution.models.values()
    assert (rule.name, rule.first, rule.last, rule.middle, rule.exclude) == ("ours", 0.5, 0.0, 0.5, ("Direct",))


def test_an_attribution_without_any_lever_is_allowed(load):
    assert load("[attribution]\nlevers = []\n").attribution.levers == ()
