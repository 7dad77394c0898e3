"""What the registry is told about a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from models.rungs import LIGHTGBM
from training.dataset import shown
from training.importance import explain_sample
from training.pictures import report_pictures
from training.report_page import report_page
from training.run_record import RunRecord

if TYPE_CHECKING:
    from training.run import Trained


def record_of(trained: Trained, params: Mapping[str, object]) -> RunRecord:
    """Return the record of a run: its configuration, its data, its measures, its report and its pictures.

    Parameters
    ----------
    trained : Trained
    params : mapping
        The whole configuration, flat; of the boosted rung's parameters only those that differ from the defaults.
    """
    report, declared = trained.report, trained.dataset.catalogue
    config = {**{f"lightgbm.{name}": value for name, value in LIGHTGBM.items()}, **params}
    data = {
        "data.from": shown(report.data_from),
        "data.until": shown(report.data_until),
        "data.sha256": report.digest,
        "data.train": report.counts.train,
        "data.test": report.counts.test,
        "catalogue.sha256": declared.digest,
        "catalogue.features": len(declared.features),
    }
    test, champion, document = trained.dataset.split.test, trained.ladder.champion, report.document()
    explained = explain_sample(
        champion.scorer,
        champion.calibration,
        trained.X[test],
        declared.features,
        trained.dataset.weight[test],
        report.seed,
    )
    pictures = report_pictures(report, explained)
    return RunRecord(
        goal=report.goal,
        params={**config, **data},
        metrics=report.metrics(),
        tags={
            "smarketing.goal": report.goal,
            "smarketing.rung": report.best,
            "smarketing.calibration": report.calibration,
        },
        documents={"report.json": document, "config.json": config},
        pages={"report.html": report_page(document, pictures)},
        pictures={f"{name}.png": picture.png for name, picture in pictures.items()},
        features=tuple((feature.name, feature.dtype) for feature in declared.features),
    )
