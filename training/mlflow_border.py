"""The border to MLflow: how it is opened, what it may say and for how long, and its entities as our records.

It is imported when the registry is first used, because the import alone costs seconds; its remarks are kept off stdout,
where results go.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from training.run_record import RunRecord

PREFIX = "smarketing-"
"""Of the names of registered models; the goal follows."""

DIGEST = "smarketing.bundle"
"""Tag of a version: the digest of its bundle."""

BUNDLE = "bundle"
"""Folder of a logged model that holds its bundle."""

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

    @property
    def shown(self) -> str:
        """The version as answers show it, e.g. "7.0"."""
        return f"{self.version}.0"


@contextlib.contextmanager
def opened(uri: str) -> Iterator[MlflowClient]:
    """Give a client of MLflow that is patient for seconds only, and silent on stdout."""
    for name, value in _MANNERS.items():
        os.environ.setdefault(name, value)
    # A model file must never run code of its own, whatever the surroundings say.
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # MLflow puts filters of its own in front of that one.
        warnings.showwarning = _unheard
        import mlflow

        # MLflow keeps the address in the environment too, where `Registry.beside` would find it the next time.
        told: Any = os.environ.get("MLFLOW_TRACKING_URI")
        mlflow.set_tracking_uri(uri)
        try:
            yield mlflow.MlflowClient()
        finally:
            mlflow.set_tracking_uri(told)


@contextlib.contextmanager
def ended(client: MlflowClient, run_id: str) -> Iterator[None]:
    """End a run with the block: as failed when the block fails."""
    try:
        yield
    except BaseException:
        # Whatever stopped the work may stop this too; the first error is the one to tell.
        with contextlib.suppress(Exception):
            client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id)


def aliases(client: MlflowClient, model: str) -> dict[str, str]:
    """Return the version that each alias of a registered model names."""
    return {str(alias): str(version) for alias, version in client.get_registered_model(model).aliases.items()}


@contextlib.contextmanager
def moved(client: MlflowClient, model: str, moves: Mapping[str, str | None]) -> Iterator[None]:
    """Set aliases in this order (None takes one away), then do the block; when either fails, they go back."""
    before, done = aliases(client, model), []
    try:
        for alias, version in moves.items():
            done.append(alias)
            _point(client, model, alias, version)
        yield
    except BaseException:
        with contextlib.suppress(Exception):
            for alias in done:
                _point(client, model, alias, before.get(alias))
        raise


def registered(version: Any) -> Registered:
    """Return MLflow's model version as our record."""
    return Registered(
        version.name.removeprefix(PREFIX),
        version.name,
        int(version.version),
        str(version.run_id),
        version.tags.get(DIGEST, ""),
    )


def log_bundle(run_id: str, record: RunRecord, bundle: Path) -> Any:
    """Log a bundle as a model of the run and return MLflow's description of it.

    Before anything else is written into the run: MLflow asks for each measure that is there already, one by one.
    """
    import mlflow
    import mlflow.pyfunc

    with tempfile.TemporaryDirectory() as scratch:
        copy = shutil.copytree(bundle, Path(scratch, BUNDLE))
        with mlflow.start_run(run_id=run_id):
            return mlflow.pyfunc.log_model(
                name=BUNDLE,
                python_model=str(_SCORER),
                artifacts={BUNDLE: str(copy)},
                signature=_signature(record.features),
                pip_requirements=_requirements(),
                params={name: str(value) for name, value in record.params.items()},
            )


def register(client: MlflowClient, run_id: str, model: str, logged: Any) -> int:
    """Register a logged model of the run as the next version of a model, and return its number."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(model)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    made = client.create_model_version(model, logged.model_uri, run_id, model_id=logged.model_id)
    return int(made.version)


def _point(client: MlflowClient, model: str, alias: str, version: str | None) -> None:
    if version is None:
        client.delete_registered_model_alias(model, alias)
    else:
        client.set_registered_model_alias(model, alias, version)


def _unheard(*_: object, **__: object) -> None:
    """Let a warning go by."""


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
