"""The whole catalogue for many accounts and monthly snapshots, beside a straightforward version in pandas.

Run ``python -m benchmarks.features_scale``. Each arm is a process of its own that reads the same Parquet files; its CPU
seconds and its peak resident size include the interpreter, the imports and the reading. Both arms report a sum for
every feature, and the command fails when they disagree.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks import market_tables, measure


def main() -> None:
    options = _options()
    if options.arm:
        found = {"ours": _ours, "pandas": _pandas}[options.arm](Path(options.data), options.snapshots)
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as folder:
        market_tables.write(market_tables.market_tables(options.touches, options.accounts), Path(folder))
        rows, sums, notes = [], {}, {}
        for arm in options.arms.split(","):
            arguments = ["-m", "benchmarks.features_scale", "--arm", arm, "--data", folder]
            cost, found = measure.python([*arguments, "--snapshots", str(options.snapshots)])
            sums[arm] = found.pop("sums")
            notes[arm] = found
            rows.append(measure.row(arm, cost, features=len(sums[arm]), rows=found["rows"]))
    different = _differences(sums.get("ours", {}), sums.get("pandas", {}))
    title = f"{options.touches:,} touches, {options.accounts:,} accounts, {options.snapshots} monthly snapshots"
    measure.report(title, rows, {"arms": notes, "different": different}, options.json)
    if different:
        raise SystemExit("The arms disagree.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--touches", type=int, default=1_000_000)
    parser.add_argument("--accounts", type=int, default=50_000)
    parser.add_argument("--snapshots", type=int, default=24)
    parser.add_argument("--arms", default="ours,pandas", help="which arms to run, in order")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--arm", choices=("ours", "pandas"), help=argparse.SUPPRESS)
    parser.add_argument("--data", help=argparse.SUPPRESS)
    return parser.parse_args()


def _ours(folder: Path, snapshots: int) -> dict[str, Any]:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from features import offline, relations
    from features.agreement import Agreement
    from features.catalogue import catalogue

    marks = [time.process_time()]
    tables = market_tables.read(folder)
    marks.append(time.process_time())
    agreement = Agreement.load(None)
    built = relations.build(tables, agreement)
    marks.append(time.process_time())
    accounts = tables["accounts"]["account_id"].combine_chunks()
    moments = market_tables.snapshots(snapshots)
    pairs = pa.concat_arrays([accounts] * snapshots)
    declared = catalogue(agreement)
    sums = dict.fromkeys(declared.names, 0.0)
    rows = 0
    # The values alone take two and a half gigabytes: they are taken part by part, as a writer of files would.
    for _, part in offline.evaluate_parts(built, pairs, np.repeat(moments, len(accounts)), declared):
        rows += part.num_rows
        for feature, column in zip(declared.features, part.columns, strict=True):
            if feature.dtype == "category":
                sums[feature.name] += column.null_count
            else:
                sums[feature.name] += pc.sum(pc.if_else(pc.is_nan(column), None, column)).as_py() or 0.0
    marks.append(time.process_time())
    steps = dict(zip(("read", "relations", "evaluate"), (b - a for a, b in pairwise(marks)), strict=True))
    return {"sums": sums, "rows": rows, "cpu_seconds": steps}


def _pandas(folder: Path, snapshots: int) -> dict[str, Any]:
    """Do what an analyst would: for each snapshot keep what was known, and group each feature's rows by account.

    It has the features that read touches or the account's own facts; the stage machine, deals and members are left out,
    as are the answers to touches.
    """
    from features.agreement import Agreement
    from features.catalogue import catalogue

    tables = market_tables.read(folder)
    features = [feature for feature in catalogue(Agreement.load(None)).features if _straightforward(feature.expression)]
    sums = dict.fromkeys((feature.name for feature in features), 0.0)
    touches, facts = tables["account_touches"].to_pandas(), tables["attributes"].to_pandas()
    for column in _REPEATED:
        touches[column] = touches[column].astype("category")
    touches["account"] = touches["account_id"].astype("category").cat.codes
    accounts = tables["accounts"].num_rows
    for moment in market_tables.snapshots(snapshots):
        known = _known_touches(touches, facts, int(moment))
        own = _known_facts(facts, "account", int(moment))
        for feature in features:
            value = _grouped(feature.expression, known, own, int(moment))
            if feature.dtype == "category":
                sums[feature.name] += accounts - value.notna().sum()
            else:
                sums[feature.name] += float(value.sum())
    return {"sums": sums, "rows": accounts * snapshots}


_REPEATED = ("contact_id", "channel", "content", "product", "touch_type", "content_stage", "direction", "actor_id")
"""Text columns kept as categories, without which every comparison and grouping is several times slower."""

_USED = ("account", "age", "role", "satisfaction", "nps", "cost", *_REPEATED)


def _straightforward(expression: Any) -> bool:
    from features import algebra

    return all(
        (
            atom.of == "touches"
            and not isinstance(atom, algebra.Gap | algebra.Waiting | algebra.Cadence | algebra.Latest)
        )
        or (atom.of == "attributes" and isinstance(atom, algebra.Latest))
        for atom in algebra.atoms(expression)
    )


def _known_facts(facts: Any, entity: str, moment: int) -> Any:
    visible = (facts["occurred_at"] <= moment) & (facts["known_at"] <= moment) & (facts["known_until"] > moment)
    known = facts[visible & (facts["entity"] == entity)].sort_values("occurred_at")
    return known.drop_duplicates(["id", "field"], keep="last")


def _known_touches(touches: Any, facts: Any, moment: int) -> Any:
    visible = (touches["occurred_at"] <= moment) & (touches["known_from"] <= moment) & (touches["known_until"] > moment)
    known = touches[visible & (touches["occurred_at"] > moment - 365 * market_tables.DAY)].copy()
    people = _known_facts(facts, "contact", moment)
    roles = people[people["field"] == "role"].set_index("id")["value"]
    known["role"] = known["contact_id"].astype("str").map(roles).fillna("unknown").where(known["contact_id"].notna())
    said = known["properties"].map(json.loads, na_action="ignore")
    for name in ("satisfaction", "nps"):
        known[name] = said.map(lambda value, name=name: value.get(name), na_action="ignore").astype(float)
    known["cost"] = known["cost"] / 100
    known["age"] = (moment - known["occurred_at"]) / market_tables.DAY
    return known[list(_USED)]


def _grouped(expression: Any, touches: Any, facts: Any, moment: int) -> Any:
    """Return a value for every account that has rows; counts and sums of the others are 0 and add nothing."""
    import numpy as np

    from features import algebra

    if isinstance(expression, algebra.Ratio):
        above, below = (_grouped(atom, touches, facts, moment) for atom in algebra.atoms(expression))
        return (above / below.where(below != 0)) * expression.scale
    rows = facts if expression.of == "attributes" else touches
    for column, allowed in expression.where.terms:
        rows = rows[rows[column].isin(allowed)]
    if expression.of == "attributes":
        value = rows.set_index("id")["value"]
        return value if expression.column == "value" else value.map(_as_number).astype(float)
    rows = rows[rows["age"] < (algebra.window_days(expression) or math.inf)]
    by = rows["account"]
    match expression:
        case algebra.Count():
            return rows.groupby(by, observed=True).size()
        case algebra.Decayed(half_life_days=half_life):
            return np.exp2(-rows["age"] / half_life).groupby(by, observed=True).sum()
        case algebra.Recency():
            return rows.groupby(by, observed=True)["age"].min()
        case algebra.Sum(column=column) | algebra.Mean(column=column) | algebra.Distinct(column=column):
            how = {"Sum": "sum", "Mean": "mean", "Distinct": "nunique"}[type(expression).__name__]
            return rows.groupby(by, observed=True)[column].agg(how)
        case algebra.TopShare(column=column):
            counts = rows.groupby([by, column], observed=True).size().groupby(level=0, observed=True)
            return counts.max() / counts.sum()
    raise TypeError(f"No pandas version of {expression}.")


def _as_number(value: str | None) -> float:
    try:
        return float(value) if value is not None else math.nan
    except ValueError:
        return math.nan


def _differences(ours: dict[str, float], theirs: dict[str, float]) -> list[str]:
    def differing() -> Iterator[str]:
        for name in ours.keys() & theirs.keys():
            if abs(ours[name] - theirs[name]) > 1e-6 * max(1.0, abs(ours[name])):
                yield f"{name}: {ours[name]} and {theirs[name]}"

    return sorted(differing())


if __name__ == "__main__":
    main()
