"""The bundle: one folder that holds everything a score needs, and nothing that must be trusted to be opened.

::

    manifest.json      format, goal and its question, kind, times, features and encoding, metrics, hash and size of
                       every other file
    model.json | .txt  coefficients, or LightGBM's text
    calibration.json   the Platt line, its revision, and the band of its 90 % interval
    value.json         what a win would be worth; null where no amount is known
    catalogue.json     the declarations of the features, so that a change of one is seen
    background.json    base rate and margin, quantiles for percentiles and drift, golden batch

Every file is read once, checked against its hash, and only then parsed. `python -m models.bundle FOLDER` checks one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from features.errors import BundleError, SmarketingError
from models.arrays import Floats
from models.background import Background
from models.bundle_files import digest_of, read_json, read_plain, sha256, to_bytes, write_folder
from models.calibration import Platt
from models.encoding import Encoding
from models.metrics import sigmoid
from models.propensity import SCORERS, Scorer, scorer_from_files
from models.value import ValueModel

if TYPE_CHECKING:
    from features.agreement import Goal
    from features.catalogue import Catalogue

FORMAT_VERSION = 3
MANIFEST = "manifest.json"

_PARTS = ("calibration.json", "catalogue.json", "background.json", "value.json")
_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Bundle:
    """A model that can score, and what is known of it.

    Parameters
    ----------
    goal : str
    question : mapping
        What the goal asked when it was trained (`question_of`).
    kind : str
        ``points``, ``logistic`` or ``lightgbm``.
    rung : str
        Rung of the ladder that won.
    trained_at, data_from, data_until : int
        UTC microseconds: when it was trained, its first snapshot, and the newest thing its data knew.
    encoding : Encoding
    scorer : Scorer
    calibration : Platt
    background : Background
    value : ValueModel or None
        What a win would be worth; None where no amount is known.
    catalogue : tuple of mapping
        The declarations of the features, in order, as plain values.
    catalogue_digest : str
        `Catalogue.digest` of those declarations.
    metrics : mapping
        Whatever training measured, as plain values.
    digest : str
        SHA-256 that names this content.
    """

    goal: str
    question: Mapping[str, Any]
    kind: str
    rung: str
    trained_at: int
    data_from: int
    data_until: int
    encoding: Encoding
    scorer: Scorer
    calibration: Platt
    background: Background
    value: ValueModel | None
    catalogue: tuple[Mapping[str, Any], ...]
    catalogue_digest: str
    metrics: Mapping[str, Any]
    digest: str

    @property
    def outcomes(self) -> int:
        """How many winning accounts the model was trained on."""
        return self.background.outcomes

    @property
    def base_logit(self) -> float:
        """Calibrated log-odds of the reference account."""
        return float(self.calibration.logit(self.background.base_margin))

    def logit(self, X: Floats) -> Floats:
        """Return calibrated log-odds of encoded rows, of shape (n,)."""
        return self.calibration.logit(self.scorer.margin(X))

    def probability(self, X: Floats) -> Floats:
        """Return calibrated probabilities of encoded rows, of shape (n,)."""
        return sigmoid(self.logit(X))

    def check_golden(self) -> None:
        """Score the golden batch and compare.

        Raises
        ------
        BundleError
            When a margin, or a sum of contributions, differs by more than 1e-9 max(1, |margin|).
        """
        rows, expected = self.background.golden_rows, self.background.golden_margins
        summed = self.scorer.contributions(rows).sum(axis=1)
        for what, found in (("margins", self.scorer.margin(rows)), ("sums of contributions", summed)):
            wrong = ~(np.abs(found - expected) <= 1e-9 * np.maximum(1.0, np.abs(expected)))
            if wrong.any():
                raise BundleError(f"{int(wrong.sum())} of {len(expected)} {what} of the golden batch differ.")


def question_of(goal: Goal) -> dict[str, Any]:
    """Return what a goal asks, as plain values: accounts of a kind of cycle, from where, to where, in how many days."""
    return {"kind": goal.kind, "from": list(goal.from_), "reach": goal.reach, "within_days": goal.within_days}


def save_bundle(
    folder: Path,
    *,
    goal: Goal,
    scorer: Scorer,
    calibration: Platt,
    encoding: Encoding,
    background: Background,
    catalogue: Catalogue,
    metrics: Mapping[str, Any],
    trained_at: int,
    data_from: int,
    data_until: int,
    value: ValueModel | None = None,
) -> str:
    """Write a bundle into a folder that does not exist yet: all of it appears, or nothing.

    Parameters
    ----------
    folder : Path
    goal : Goal
    scorer, calibration, encoding, background
        From the ladder and `models.background.fit_background`.
    catalogue : features.catalogue.Catalogue
        The features of the encoding, in its order.
    metrics : mapping
        Plain JSON values; numbers must be finite.
    trained_at, data_from, data_until : int
        UTC microseconds.
    value : ValueModel, optional
        What a win would be worth.

    Returns
    -------
    str
        The digest.

    Raises
    ------
    BundleError
        When the folder exists, or the parts do not fit one another.
    """
    files = scorer.files() | {
        "calibration.json": to_bytes(calibration.to_json()),
        "catalogue.json": to_bytes(catalogue.definitions()),
        "background.json": to_bytes(background.to_json()),
        "value.json": to_bytes(None if value is None else value.to_json()),
    }
    manifest: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "goal": goal.name,
        "question": question_of(goal),
        "kind": scorer.kind,
        "rung": scorer.name,
        "trained_at": trained_at,
        "data_from": data_from,
        "data_until": data_until,
        "features": list(encoding.names),
        "encoding": encoding.to_json(),
        "catalogue_digest": catalogue.digest,
        "metrics": dict(metrics),
        "files": {name: {"sha256": sha256(content), "bytes": len(content)} for name, content in files.items()},
    }
    manifest["digest"] = digest_of(manifest)
    _parse(manifest, files)
    write_folder(folder, files | {MANIFEST: to_bytes(manifest)})
    return str(manifest["digest"])


def load_bundle(folder: Path) -> Bundle:
    """Read a bundle, verifying every byte before it is used.

    Raises
    ------
    BundleError
        When a file is missing, altered, too large or not a plain file, or the parts do not fit one another.
    """
    sealed = read_sealed(folder)
    with _refusals(folder):
        return _parse(sealed.manifest, sealed.files)


@dataclass(frozen=True)
class Sealed:
    """The files of a bundle, whole as their manifest says, and not yet parsed.

    Parameters
    ----------
    goal, digest : str
    manifest : mapping
    files : mapping of str to bytes
        Content of every other file by name.
    """

    goal: str
    digest: str
    manifest: Mapping[str, Any]
    files: Mapping[str, bytes]


def read_sealed(folder: Path) -> Sealed:
    """Read the files of a bundle and check their sizes and hashes, opening no model.

    Raises
    ------
    BundleError
        When a file is missing, altered, too large or not a plain file.
    """
    with _refusals(folder):
        manifest = read_json(read_plain(folder, MANIFEST))
        if not isinstance(manifest, dict) or manifest.get("format_version") != FORMAT_VERSION:
            found = manifest.get("format_version") if isinstance(manifest, dict) else None
            raise BundleError(
                f"The format of a bundle must be {FORMAT_VERSION}. Got {found!r} in {folder} instead.",
                hint="A bundle of an older version can not be read any more: smarketing train makes a new one.",
            )
        if manifest["digest"] != digest_of(manifest):
            raise BundleError(f"The manifest of {folder} has been altered: its digest does not fit.")
        if manifest["kind"] not in SCORERS:
            raise BundleError(f"Model kind must be one of {', '.join(SCORERS)}. Got {manifest['kind']!r} instead.")
        expected = {SCORERS[manifest["kind"]].file, *_PARTS}
        if set(manifest["files"]) != expected:
            raise BundleError(f"The manifest must list {sorted(expected)}. Got {sorted(manifest['files'])} instead.")
        files = {name: read_plain(folder, name) for name in sorted(expected)}
        for name, content in files.items():
            stated = manifest["files"][name]
            if len(content) != stated["bytes"] or sha256(content) != stated["sha256"]:
                raise BundleError(f"{name} in {folder} is damaged: its size or hash is not that of the manifest.")
        return Sealed(str(manifest["goal"]), str(manifest["digest"]), manifest, files)


@contextmanager
def _refusals(folder: Path) -> Iterator[None]:
    """Turn whatever malformed content does to a reader into a refusal."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        if isinstance(error, SmarketingError):
            raise
        raise BundleError(f"The bundle {folder} can not be read: {error!r}.") from error


def verify_in_child(folder: Path, timeout: float = 60.0) -> None:
    """Load a bundle in another process and score its golden batch there: a damaged model may crash or hang.

    Parameters
    ----------
    folder : Path
    timeout : float, default=60.0
        Seconds.

    Raises
    ------
    BundleError
        When the child refuses, crashes, or does not finish in time.
    """
    environment = {**os.environ, "PYTHONPATH": str(_ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "models.bundle", str(folder.resolve())]
    try:
        child = subprocess.run(
            command, cwd=_ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout
        )
    except subprocess.TimeoutExpired as error:
        raise BundleError(f"Checking the bundle {folder} took more than {timeout:g} seconds.") from error
    if child.returncode != 0:
        said = child.stderr.decode(errors="replace").strip().splitlines()
        raise BundleError(
            f"The bundle {folder} failed its check (exit {child.returncode}): {said[-1] if said else 'no message'}"
        )


def _parse(manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> Bundle:
    encoding = Encoding.from_json(manifest["encoding"])
    catalogue = tuple(read_json(files["catalogue.json"]))
    scorer = scorer_from_files(files, manifest["kind"], manifest["rung"])
    background = Background.from_json(read_json(files["background.json"]))
    names = list(encoding.names)
    stated = read_json(files["value.json"])
    value = None if stated is None else ValueModel.from_json(stated)
    widths = {"the model": scorer.n_features, "the golden batch": background.golden_rows.shape[1]}
    if value is not None:
        widths["the value model"] = value.n_features
    for what, width in widths.items():
        if width != len(names):
            raise BundleError(f"The bundle declares {len(names)} features, but {what} has {width}.")
    if manifest["features"] != names or [one["name"] for one in catalogue] != names:
        raise BundleError("The features of the manifest, the encoding and the catalogue are not the same.")
    return Bundle(
        goal=str(manifest["goal"]),
        question=dict(manifest["question"]),
        kind=scorer.kind,
        rung=scorer.name,
        trained_at=int(manifest["trained_at"]),
        data_from=int(manifest["data_from"]),
        data_until=int(manifest["data_until"]),
        encoding=encoding,
        scorer=scorer,
        calibration=Platt.from_json(read_json(files["calibration.json"])),
        background=background,
        value=value,
        catalogue=catalogue,
        catalogue_digest=str(manifest["catalogue_digest"]),
        metrics=manifest["metrics"],
        digest=str(manifest["digest"]),
    )


if __name__ == "__main__":
    try:
        load_bundle(Path(sys.argv[1])).check_golden()
    except BundleError as refusal:
        sys.exit(str(refusal))
