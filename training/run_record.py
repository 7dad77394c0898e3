"""What is written down about one run, and the writing of it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True)
class RunRecord:
    """What is written down about one run.

    Parameters
    ----------
    goal : str
    params, metrics, tags : mapping
        As MLflow means them; values of params and tags are written as text.
    documents : mapping of str to dict
        File name to what is written into it as JSON.
    pages : mapping of str to str
        File name to text that is written as it is, such as a page of HTML.
    pictures : mapping of str to bytes
        File name to a PNG image.
    features : tuple of (str, str)
        Name and dtype (``count``, ``number`` or ``category``) of what the model reads, in order: its signature.
    parent : str
        Run that this one is a part of; empty when it stands alone.
    """

    goal: str
    params: Mapping[str, object]
    metrics: Mapping[str, float]
    tags: Mapping[str, str] = field(default_factory=dict)
    documents: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    pages: Mapping[str, str] = field(default_factory=dict)
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    features: tuple[tuple[str, str], ...] = ()
    parent: str = ""


def write_run(client: MlflowClient, run_id: str, record: RunRecord, *, model_id: str | None = None) -> None:
    """Write a record into a run that has been opened; a logged model that is named gets its measures too."""
    from mlflow.entities import Metric, Param, RunTag

    now = time.time_ns() // 1_000_000
    client.log_batch(
        run_id,
        metrics=[Metric(name, value, now, 0, model_id=model_id) for name, value in record.metrics.items()],
        params=[Param(name, str(value)) for name, value in record.params.items()],
        tags=[RunTag(name, value) for name, value in record.tags.items()],
    )
    for name, document in record.documents.items():
        client.log_dict(run_id, document, name)
    for name, page in record.pages.items():
        client.log_text(run_id, page, name)
    with tempfile.TemporaryDirectory() as scratch:
        for name, picture in record.pictures.items():
            path = Path(scratch, name)
            path.write_bytes(picture)
            client.log_artifact(run_id, str(path))
