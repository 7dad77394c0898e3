"""The record of runs and the register of models: MLflow, behind functions that speak of goals, versions and bundles.

Every other module of the project is ignorant of MLflow.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.errors import StoreError, UnknownError
from training.mlflow_border import (
    BUNDLE,
    DIGEST,
    PREFIX,
    Registered,
    aliases,
    ended,
    log_bundle,
    moved,
    opened,
    register,
    registered,
)
from training.run_record import RunRecord, write_run

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["CHALLENGER", "CHAMPION", "PREVIOUS", "Registered", "Registry", "Version"]

CHAMPION = "champion"
"""Alias of the version that answers."""

CHALLENGER = "challenger"
"""Alias of the newest version that has not been promoted."""

PREVIOUS = "previous"
"""Alias of the version that answered before the champion."""

_PATIENCE = 3.0


@dataclass(frozen=True)
class Version:
    """A registered version and what the registry knows of it.

    Parameters
    ----------
    registered : Registered
    aliases : tuple of str
        Of champion, challenger and previous those that it holds.
    made_at : int
        UTC microseconds.
    params : mapping of str to str
        Of its run: the whole configuration.
    metrics : mapping of str to float
        Of its run, e.g. ``test.auc``, ``test.auc.low``, ``test.auc.high``.
    tags : mapping of str to str
        Of its run and of the version: its rung, and a tag for each time that it was approved.
    """

    registered: Registered
    aliases: tuple[str, ...]
    made_at: int
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Registry:
    """Address of an MLflow tracking store and registry.

    Every method that asks it raises StoreError when it can not be reached, or refuses.

    Parameters
    ----------
    uri : str
        MLflow's tracking address.
    artifacts : str or None
        Where a new experiment keeps its files; None leaves that to the server.
    """

    uri: str
    artifacts: str | None = None

    @classmethod
    def beside(cls, store: str) -> Registry:
        """Return the registry of a store: `MLFLOW_TRACKING_URI`, else ``mlflow.db`` and ``mlartifacts`` beside it."""
        told = os.environ.get("MLFLOW_TRACKING_URI")
        if told:
            return cls(told)
        folder = (Path.cwd() if "://" in store else Path(store).parent).resolve()
        return cls(f"sqlite:///{folder / 'mlflow.db'}", (folder / "mlartifacts").as_uri())

    @property
    def shown(self) -> str:
        """The address as people may see it: without a password."""
        scheme, mark, rest = self.uri.partition("://")
        return f"{scheme}{mark}{rest.rpartition('@')[2]}"

    @property
    def exists(self) -> bool:
        """Whether there is anything to ask: False for an SQLite file that has not been made yet."""
        path = self.uri.removeprefix("sqlite:///")
        return path == self.uri or Path(path).exists()

    def check(self) -> None:
        """Find out in seconds, and without MLflow, that a registry server is not there.

        Raises
        ------
        StoreError
            When it does not answer.
        """
        if self.uri.startswith(("http://", "https://")):
            try:
                with urllib.request.urlopen(f"{self.shown.rstrip('/')}/health", timeout=_PATIENCE):
                    pass
            except urllib.error.HTTPError:
                # Some servers have no such page, or want the password first: an answer all the same.
                pass
            except (OSError, ValueError) as error:
                raise self._silent(error) from error

    def prepare(self) -> None:
        """Import MLflow and open the store, which takes seconds, so that publishing does not."""
        with self._client() as client:
            client.search_experiments(max_results=1)

    def publish(self, record: RunRecord, bundle: Path, digest: str) -> Registered:
        """Record a run, and register its bundle as the next version of the goal's model: the challenger.

        The alias moves last: a publication that fails half-way leaves the aliases where they were, and its run is
        marked as failed.
        """
        with self._client() as client:
            model = PREFIX + record.goal
            run_id = self._run(client, record)
            with ended(client, run_id):
                logged = log_bundle(run_id, record, bundle)
                write_run(client, run_id, record, model_id=logged.model_id)
                version = register(client, run_id, model, logged)
                client.set_model_version_tag(model, str(version), DIGEST, digest)
                client.set_registered_model_alias(model, CHALLENGER, str(version))
            return Registered(record.goal, model, version, run_id, digest)

    def record(self, records: Sequence[RunRecord]) -> list[str]:
        """Record runs that register nothing, those after the first as parts of the first, and return their ids."""
        ids: list[str] = []
        with self._client() as client:
            for record in records:
                run_id = self._run(client, replace(record, parent=ids[0]) if ids else record)
                with ended(client, run_id):
                    write_run(client, run_id, record)
                ids.append(run_id)
        return ids

    def attach(self, version: Registered, documents: Mapping[str, dict[str, Any]], pages: Mapping[str, str]) -> None:
        """Add files to the run of a version."""
        with self._client() as client:
            write_run(client, version.run_id, RunRecord(version.goal, {}, {}, documents=documents, pages=pages))

    def promote(self, version: Registered, approval: Mapping[str, str]) -> None:
        """Make a version the champion; the champion so far gets the alias ``previous``.

        The champion's alias moves last, and when it can not, the others go back: a promotion that fails half-way leaves
        the champion where it was.

        Parameters
        ----------
        version : Registered
        approval : mapping of str to str
            Who approved it and when, kept as tags of the version.
        """
        number = str(version.version)
        with self._client() as client:
            held = aliases(client, version.model)
            moves: dict[str, str | None] = {}
            if held.get(CHAMPION, number) != number:
                moves[PREVIOUS] = held[CHAMPION]
            if held.get(CHALLENGER) == number:
                moves[CHALLENGER] = None
            with moved(client, version.model, {**moves, CHAMPION: number}):
                _approve(client, version, approval)

    def rollback(self, goal: str, approval: Mapping[str, str]) -> Registered:
        """Let the previous champion answer again, and return it; the present one becomes ``previous`` in its place.

        Raises
        ------
        UnknownError
            When the goal has no previous champion.
        """
        version = self.find(goal, PREVIOUS).registered
        with self._client() as client:
            held = aliases(client, version.model)
            moves = {PREVIOUS: held.get(CHAMPION), CHAMPION: str(version.version)}
            with moved(client, version.model, moves):
                _approve(client, version, approval)
        return version

    def find(self, goal: str, name: str) -> Version:
        """Return the version of a goal's model with this number (``3`` or ``3.0``) or this alias.

        Raises
        ------
        UnknownError
            When there is none; the message names those there are.
        """
        known = self.versions(goal)
        for one in known:
            if name.removesuffix(".0") == str(one.registered.version) or name in one.aliases:
                return one
        there = ", ".join(" ".join((one.registered.shown, *one.aliases)) for one in known) or "none"
        raise UnknownError(
            f"The goal {goal!r} has no version {name!r}. There are: {there}.",
            hint="smarketing models list, or train one: smarketing train --goal " + goal,
        )

    def champion(self, goal: str) -> Registered | None:
        """Return the champion of a goal, or None."""
        return next((one.registered for one in self.versions(goal) if CHAMPION in one.aliases), None)

    def champions(self) -> list[Registered]:
        """Return the champion of every goal that has one."""
        if not self.exists:
            return []
        with self._client() as client:
            return [
                registered(client.get_model_version(model, held[CHAMPION]))
                for model in _models(client)
                if CHAMPION in (held := aliases(client, model))
            ]

    def versions(self, goal: str | None = None) -> list[Version]:
        """Return every version of a goal, or of all, the newest of a goal first."""
        if not self.exists:
            return []
        with self._client() as client:
            models = [model for model in _models(client) if goal is None or model == PREFIX + goal]
            return [one for model in models for one in _versions(client, model)]

    def fetch(self, version: Registered, into: Path) -> Path:
        """Copy the bundle of a registered version into the folder `into`, which must not exist yet, and return it.

        Raises
        ------
        UnknownError
            When the version holds no bundle.
        """
        with self._client(), tempfile.TemporaryDirectory() as scratch:
            from mlflow.artifacts import download_artifacts

            download_artifacts(artifact_uri=f"models:/{version.model}/{version.version}", dst_path=scratch)
            found = Path(scratch, "artifacts", BUNDLE)
            if not found.is_dir():
                raise UnknownError(f"Version {version.version} of {version.model!r} holds no bundle.")
            shutil.copytree(found, into)
            return into

    def config_of(self, version: Registered) -> dict[str, Any]:
        """Return the configuration of the run of a registered version, flat."""
        with self._client():
            from mlflow.artifacts import load_dict

            return dict(load_dict(f"runs:/{version.run_id}/config.json"))

    @contextlib.contextmanager
    def _client(self) -> Iterator[MlflowClient]:
        with opened(self.uri) as client:
            from mlflow.exceptions import MlflowException
            from sqlalchemy.exc import SQLAlchemyError

            try:
                yield client
            except (MlflowException, SQLAlchemyError, OSError) as error:
                raise self._silent(error) from error

    def _silent(self, error: Exception) -> StoreError:
        return StoreError(
            f"The registry at {self.shown} did not answer: {_first_line(error)}",
            hint="Check MLFLOW_TRACKING_URI, or that the server runs; scores are served from the cache meanwhile.",
        )

    def _run(self, client: MlflowClient, record: RunRecord) -> str:
        # `mlflow run` has opened a run already and names it so.
        told = os.environ.get("MLFLOW_RUN_ID")
        if told and not record.parent:
            return told
        name = f"smarketing/{record.goal}"
        experiment = client.get_experiment_by_name(name)
        experiment_id = (
            client.create_experiment(name, artifact_location=self.artifacts)
            if experiment is None
            else experiment.experiment_id
        )
        tags = {"mlflow.parentRunId": record.parent} if record.parent else {}
        return str(client.create_run(experiment_id, tags=tags).info.run_id)


def _models(client: MlflowClient) -> list[str]:
    return [str(one.name) for one in client.search_registered_models(filter_string=f"name LIKE '{PREFIX}%'")]


def _versions(client: MlflowClient, model: str) -> list[Version]:
    held = aliases(client, model)
    found = sorted(client.search_model_versions(f"name = '{model}'"), key=lambda one: -int(one.version))
    return [_version(client, one, held) for one in found]


def _version(client: MlflowClient, found: Any, held: Mapping[str, str]) -> Version:
    data = client.get_run(str(found.run_id)).data
    return Version(
        registered(found),
        tuple(alias for alias in (CHAMPION, CHALLENGER, PREVIOUS) if held.get(alias) == str(found.version)),
        int(found.creation_timestamp) * 1000,
        dict(data.params),
        dict(data.metrics),
        {**data.tags, **found.tags},
    )


def _approve(client: MlflowClient, version: Registered, approval: Mapping[str, str]) -> None:
    for name, value in approval.items():
        client.set_model_version_tag(version.model, str(version.version), name, value)


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]
