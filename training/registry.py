"""The record of runs and the register of models: MLflow, behind five functions that speak of goals and bundles.

Every other module of the project is ignorant of MLflow. It is imported when the registry is first used, because the
import alone costs seconds; its remarks are kept off stdout, where results go.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.errors import StoreError, UnknownError

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION = "champion"
PREVIOUS = "previous"

_PREFIX = "smarketing-"
_DIGEST = "smarketing.bundle"
_BUNDLE = "bundle"
_PATIENCE = 3.0
_SCORER = Path(__file__).with_name("scorer.py")
# A dead server must be noticed in seconds; MLflow's own defaults wait for four minutes.
_MANNERS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_PRINT_MODEL_URLS_ON_CREATION": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


@dataclass(frozen=True)
class RunRecord:
    """What is written down about one training run.

    Parameters
    ----------
    goal : str
    params, metrics, tags : mapping
        As MLflow means them; values of params and tags are written as text.
    documents : mapping of str to dict
        File name to what is written into it as JSON.
    pictures : mapping of str to bytes
        File name to a PNG image.
    features : tuple of (str, str)
        Name and dtype (``count``, ``number`` or ``category``) of what the model reads, in order: its signature.
    """

    goal: str
    params: Mapping[str, object]
    metrics: Mapping[str, float]
    tags: Mapping[str, str] = field(default_factory=dict)
    documents: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    features: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Registered:
    """A version of a goal's model in the registry.

    Parameters
    ----------
    goal : str
    model : str
        Name of the registered model.
    version : int
    run_id : str
    digest : str
        Digest of the bundle, as the cache names it.
    """

    goal: str
    model: str
    version: int
    run_id: str
    digest: str


@dataclass(frozen=True)
class Registry:
    """Address of an MLflow tracking store and registry.

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
        """Import MLflow and open the store, which takes seconds, so that publishing does not.

        Raises
        ------
        StoreError
            When the registry can not be reached.
        """
        with self._client() as client:
            client.search_experiments(max_results=1)

    def publish(self, record: RunRecord, bundle: Path, digest: str) -> Registered:
        """Record a run, register its bundle as the next version of the goal's model, and make it the champion.

        The champion so far gets the alias ``previous``. Aliases move last: a publication that fails half-way leaves
        the champion where it was, and its run is marked as failed.

        Raises
        ------
        StoreError
            When the registry can not be reached or refuses.
        """
        with self._client() as client:
            model = _PREFIX + record.goal
            before = _version_of(client, model, CHAMPION)
            run_id = self._run(client, record.goal)
            with _ended(client, run_id):
                _write_run(client, run_id, record)
                version = self._register(client, run_id, model, record, bundle)
                client.set_model_version_tag(model, str(version), _DIGEST, digest)
                if before is not None:
                    client.set_registered_model_alias(model, PREVIOUS, before.version)
                client.set_registered_model_alias(model, CHAMPION, str(version))
            return Registered(record.goal, model, version, run_id, digest)

    def champions(self) -> list[Registered]:
        """Return the champion of every goal that has one.

        Raises
        ------
        StoreError
            When the registry can not be reached.
        """
        if not self.exists:
            return []
        with self._client() as client:
            models = client.search_registered_models(filter_string=f"name LIKE '{_PREFIX}%'")
            return [
                Registered(
                    model.name.removeprefix(_PREFIX),
                    model.name,
                    int(version.version),
                    str(version.run_id),
                    version.tags.get(_DIGEST, ""),
                )
                for model in models
                if (version := _version_of(client, model.name, CHAMPION)) is not None
            ]

    def fetch(self, registered: Registered, into: Path) -> Path:
        """Copy the bundle of a registered version into the folder `into`, which must not exist yet, and return it.

        Raises
        ------
        StoreError
            When the registry or its files can not be reached.
        UnknownError
            When the version holds no bundle.
        """
        with self._client(), tempfile.TemporaryDirectory() as scratch:
            from mlflow.artifacts import download_artifacts

            download_artifacts(artifact_uri=f"models:/{registered.model}/{registered.version}", dst_path=scratch)
            found = Path(scratch, "artifacts", _BUNDLE)
            if not found.is_dir():
                raise UnknownError(f"Version {registered.version} of {registered.model!r} holds no bundle.")
            shutil.copytree(found, into)
            return into

    @contextlib.contextmanager
    def _client(self) -> Iterator[MlflowClient]:
        for name, value in _MANNERS.items():
            os.environ.setdefault(name, value)
        # A model file must never run code of its own, whatever the surroundings say.
        os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
        with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # MLflow puts filters of its own in front of that one.
            warnings.showwarning = _unheard
            import mlflow
            from mlflow.exceptions import MlflowException
            from sqlalchemy.exc import SQLAlchemyError

            # MLflow keeps the address in the environment too, where `beside` would find it the next time.
            told: Any = os.environ.get("MLFLOW_TRACKING_URI")
            mlflow.set_tracking_uri(self.uri)
            try:
                yield mlflow.MlflowClient()
            except (MlflowException, SQLAlchemyError, OSError) as error:
                raise self._silent(error) from error
            finally:
                mlflow.set_tracking_uri(told)

    def _silent(self, error: Exception) -> StoreError:
        return StoreError(
            f"The registry at {self.shown} did not answer: {_first_line(error)}",
            hint="Check MLFLOW_TRACKING_URI, or that the server runs; scores are served from the cache meanwhile.",
        )

    def _run(self, client: MlflowClient, goal: str) -> str:
        # `mlflow run` has opened a run already and names it so.
        told = os.environ.get("MLFLOW_RUN_ID")
        if told:
            return told
        name = f"smarketing/{goal}"
        experiment = client.get_experiment_by_name(name)
        experiment_id = (
            client.create_experiment(name, artifact_location=self.artifacts)
            if experiment is None
            else experiment.experiment_id
        )
        return str(client.create_run(experiment_id).info.run_id)

    def _register(self, client: MlflowClient, run_id: str, model: str, record: RunRecord, bundle: Path) -> int:
        import mlflow
        import mlflow.pyfunc
        from mlflow.exceptions import MlflowException

        with tempfile.TemporaryDirectory() as scratch:
            copy = shutil.copytree(bundle, Path(scratch, _BUNDLE))
            with mlflow.start_run(run_id=run_id):
                logged = mlflow.pyfunc.log_model(
                    name=_BUNDLE,
                    python_model=str(_SCORER),
                    artifacts={_BUNDLE: str(copy)},
                    signature=_signature(record.features),
                    pip_requirements=_requirements(),
                )
        try:
            client.create_registered_model(model)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        made = client.create_model_version(model, logged.model_uri, run_id, model_id=logged.model_id)
        return int(made.version)


def _unheard(*_: object, **__: object) -> None:
    """Let a warning go by."""


def _version_of(client: MlflowClient, model: str, alias: str) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(model, alias)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


@contextlib.contextmanager
def _ended(client: MlflowClient, run_id: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        # Whatever stopped the work may stop this too; the first error is the one to tell.
        with contextlib.suppress(Exception):
            client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id)


def _write_run(client: MlflowClient, run_id: str, record: RunRecord) -> None:
    from mlflow.entities import Metric, Param, RunTag

    now = time.time_ns() // 1_000_000
    client.log_batch(
        run_id,
        metrics=[Metric(name, value, now, 0) for name, value in record.metrics.items()],
        params=[Param(name, str(value)) for name, value in record.params.items()],
        tags=[RunTag(name, value) for name, value in record.tags.items()],
    )
    for name, document in record.documents.items():
        client.log_dict(run_id, document, name)
    with tempfile.TemporaryDirectory() as scratch:
        for name, picture in record.pictures.items():
            path = Path(scratch, name)
            path.write_bytes(picture)
            client.log_artifact(run_id, str(path))


def _signature(features: tuple[tuple[str, str], ...]) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    if not features:
        return None
    kinds = {"category": DataType.string}
    inputs: list[Any] = [ColSpec(kinds.get(dtype, DataType.double), name, required=False) for name, dtype in features]
    return ModelSignature(Schema(inputs), Schema([ColSpec(DataType.double)]))


def _requirements() -> list[str]:
    from importlib.metadata import version

    return [f"{name}=={version(name)}" for name in ("lightgbm", "mlflow", "numpy", "pandas")]


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]
