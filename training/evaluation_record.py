"""A registered model measured once more: on what the ledger has learnt since, and written down as a run."""

from __future__ import annotations

from dataclasses import replace

from features.agreement import Agreement
from models.bundle import Bundle
from training.config import TrainingConfig
from training.dataset import Dataset
from training.evaluation import judge_bundle
from training.importance import explain_sample
from training.ladder_report import Report
from training.pictures import report_pictures
from training.registry import Registered
from training.report_page import report_page
from training.run_record import RunRecord


def evaluate(bundle: Bundle, holdout: Dataset, agreement: Agreement, config: TrainingConfig) -> Report:
    """Return the report of a bundle on snapshots that are new to it.

    Parameters
    ----------
    bundle : Bundle
    holdout : Dataset
        From `training.holdout`.
    agreement : Agreement
    config : TrainingConfig
    """
    capacity = min(max(round(agreement.capacity * holdout.test_weeks), 1), holdout.counts.test)
    report = judge_bundle(holdout, config, bundle, capacity)
    # The hold-out teaches nothing: what is said of training is what the bundle remembers of it.
    taught = bundle.metrics
    return replace(
        report,
        base_rate=bundle.background.base_rate,
        accounts_train=int(taught["accounts_train"]),
        outcomes_train=bundle.outcomes,
        accounts_unseen=None,
        counts=replace(report.counts, train=int(taught["counts"]["train"])),
    )


def evaluation_record(
    report: Report, bundle: Bundle, holdout: Dataset, version: Registered, config: TrainingConfig
) -> RunRecord:
    """Return the record of an evaluation: its measures, its report as a page, its pictures, and whose it is."""
    explained = explain_sample(
        bundle.scorer,
        bundle.calibration,
        bundle.encoding.matrix(holdout.table),
        holdout.catalogue.features,
        holdout.weight,
        config.seed,
    )
    pictures, document = report_pictures(report, explained), report.document()
    return RunRecord(
        report.goal,
        {
            **config.flat(),
            "evaluated.version": version.shown,
            "data.sha256": holdout.digest,
            "data.test": report.counts.test,
        },
        report.metrics(),
        {
            "smarketing.goal": report.goal,
            "smarketing.kind": "evaluate",
            "smarketing.version": version.shown,
            "smarketing.evaluates": version.run_id,
        },
        documents={"report.json": document},
        pages={"report.html": report_page(document, pictures)},
        pictures={f"{name}.png": picture.png for name, picture in pictures.items()},
    )
