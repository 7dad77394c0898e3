"""The field's reference data become journeys without a touch or a conversion lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pytest

from features.journeys import counted_paths, journeys_of


@pytest.fixture
def read():
    def table(name: str) -> pa.Table:
        path = Path(__file__).parents[4] / "shared" / "data" / "journeys" / name
        if not path.exists():
            pytest.skip(f"{name} is not here: ../shared/data/journeys")
        return pa.csv.read_csv(path)

    return table


def test_counted_paths_keep_every_journey_touch_and_value(read):
    data = read("paths_10k.csv.gz")
    thousandths = np.rint(data["total_conversion_value"].to_numpy() * 1000).astype(np.int64)
    paths = pc.split_pattern(data["path"].combine_chunks(), " > ")
    journeys = counted_paths(paths, data["total_conversions"], thousandths, data["total_null"])
    assert journeys.count.sum() == 88_387
    assert journeys.count[journeys.converted].sum() == 19_785
    assert (journeys.count * np.diff(journeys.offset)).sum() == 378_209
    assert journeys.revenue.sum() == thousandths.sum()


def test_timestamped_touches_keep_every_touch_and_conversion(read):
    data = read("cookie_touches_62k.csv.gz")
    at = data["time"].cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    touches = pa.table({"account": data["customer_id"], "occurred_at": at, "channel": data["channel"]})
    # The conversion is noted at a touch, which belongs to it.
    noted = pc.equal(data["conversion"], 1)
    cents = pc.multiply(data["conversion_value"], 100).cast(pa.int64(), safe=False)
    conversions = pa.table({"account": data["customer_id"], "at": pc.add(at, 1), "revenue": cents}).filter(noted)
    journeys = journeys_of(touches, conversions)
    assert journeys.touches.num_rows == 62_483
    assert journeys.converted.sum() == 1_838
    assert len(np.unique(journeys.account)) == 7_896
    assert journeys.revenue.sum() == pc.sum(conversions["revenue"]).as_py()
