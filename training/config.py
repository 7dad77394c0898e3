"""What a training run is told: the agreement, a training file over it, and ``--set`` over both.

A training file is TOML with the agreement's own tables ``[snapshots]`` and ``[split]``, a table ``[data]`` whose keys
are the fields of `DataSettings`, and a table ``[lightgbm]`` with parameters of the boosted rung; nothing else.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.agreement import Agreement, Goal, Snapshots, Split
from features.errors import AgreementError, nearest
from features.toml_section import Section, read_toml

TABLES = ("snapshots", "split", "data", "lightgbm")


@dataclass(frozen=True)
class DataSettings:
    """How many snapshots are worked on.

    Parameters
    ----------
    max_train, max_test : int
        Most snapshots that teach and that judge; beyond that a random sample is drawn before features are computed, and
        the report says so.
    min_positives : int
        Fewest accounts with a positive snapshot in training.
    """

    max_train: int = 50_000
    max_test: int = 20_000
    min_positives: int = 1


@dataclass(frozen=True)
class TrainingConfig:
    """Everything a training run depends on besides the ledger.

    Parameters
    ----------
    goal : Goal
    snapshots : Snapshots
    split : Split
    data : DataSettings
    lightgbm : mapping of str to float
        What differs from `models.rungs.LIGHTGBM`.
    seed : int
        All randomness of the run comes from it.
    """

    goal: Goal
    snapshots: Snapshots
    split: Split
    data: DataSettings = dataclasses.field(default_factory=DataSettings)
    lightgbm: Mapping[str, float] = dataclasses.field(default_factory=dict)
    seed: int = 0

    @classmethod
    def of(cls, agreement: Agreement, goal: str | None = None, *, seed: int = 0) -> TrainingConfig:
        """Return the configuration that an agreement alone gives.

        Raises
        ------
        UnknownError
            When the agreement has no such goal.
        """
        return cls(agreement.goal(goal), agreement.snapshots, agreement.split, seed=seed)

    def document(self) -> dict[str, Any]:
        """Return the whole configuration as JSON writes it."""
        return {name: _plain(value) for name, value in dataclasses.asdict(self).items()}

    def flat(self) -> dict[str, Any]:
        """Return the whole configuration as one table with dotted names.

        Examples
        --------
        >>> TrainingConfig.of(Agreement.load()).flat()["goal.within_days"]
        90
        """
        return dict(_leaves(self.document(), ""))


def load_config(
    agreement: Path | None,
    *,
    training: Path | None = None,
    settings: Sequence[str] = (),
    goal: str | None = None,
    seed: int = 0,
) -> tuple[Agreement, TrainingConfig]:
    """Read the agreement and the configuration of a training run.

    Parameters
    ----------
    agreement, training : Path or None
        Files; None for the defaults.
    settings : sequence of str
        ``table.key=value`` each, the value as TOML or as bare text; they win over the files.
    goal : str or None
        Name of the goal; None for the agreement's default.
    seed : int

    Raises
    ------
    AgreementError
        When a file can not be read, a key is unknown, or a value can not be.
    UnknownError
        When there is no such goal.
    """
    content = {} if training is None else read_toml(training)
    where = "" if training is None else f"{training}: "
    for setting in settings:
        _set(content, setting)
    try:
        top = Section(content)
        data, lightgbm = _data(top.section("data")), _lightgbm(top.section("lightgbm"))
        for name in TABLES:
            top.section(name)
        top.close()
        read = Agreement.load(agreement, training={name: content[name] for name in TABLES[:2] if name in content})
    except AgreementError as error:
        if not content:
            raise
        raise AgreementError(f"{where}{error}", hint=error.hint or "docs/training.md lists every key.") from error
    base = TrainingConfig.of(read, goal, seed=seed)
    return read, dataclasses.replace(base, data=data, lightgbm=lightgbm)


def recorded_config(agreement: Path | None, run: Mapping[str, Any], goal: str) -> TrainingConfig:
    """Return what a run on record was told of snapshots, split, data and seed.

    Parameters
    ----------
    agreement : Path or None
    run : mapping
        Its configuration, flat (`TrainingConfig.flat`).
    goal : str
    """
    settings = [
        f"{name}={value if isinstance(value, str) else json.dumps(value)}"
        for name, value in run.items()
        if name.partition(".")[0] in TABLES[:3] and value is not None
    ]
    return load_config(agreement, settings=settings, goal=goal, seed=int(run["seed"]))[1]


def _data(section: Section) -> DataSettings:
    default = DataSettings()
    settings = DataSettings(
        max_train=section.whole("max_train", default.max_train, least=100),
        max_test=section.whole("max_test", default.max_test, least=100),
        min_positives=section.whole("min_positives", default.min_positives, least=1),
    )
    section.close()
    return settings


def _lightgbm(section: Section) -> Mapping[str, float]:
    from models.rungs import LIGHTGBM

    told: dict[str, float] = {}
    for key, default in LIGHTGBM.items():
        if isinstance(default, bool | str) or key == "verbosity":
            continue
        value = section.whole(key, default) if isinstance(default, int) else section.number(key, default, above=0)
        if value != default:
            told[key] = value
    section.close()
    return told


def _set(content: dict[str, Any], setting: str) -> None:
    name, equals, text = setting.partition("=")
    table, dot, key = name.strip().partition(".")
    if not equals or not dot or not key:
        raise AgreementError(f"`--set` must be table.key=value. Got {setting!r} instead.")
    if table not in TABLES:
        raise AgreementError(f"Unknown table `{table}`.{nearest(table, TABLES)} Allowed: {', '.join(TABLES)}.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    content[table] = {**content.get(table, {}), key: value}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key.rstrip("_"): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dt.time):
        return value.isoformat("minutes")
    return value.isoformat() if isinstance(value, dt.date) else value


def _leaves(value: dict[str, Any], path: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, item in value.items():
        name = f"{path}.{key}" if path else key
        found += _leaves(item, name) if isinstance(item, dict) else [(name, item)]
    return found
