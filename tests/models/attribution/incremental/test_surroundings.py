from __future__ import annotations

import numpy as np
import pyarrow as pa

from models.attribution.incremental.surroundings import Surroundings


def test_terms_that_tell_nothing_apart_are_left_out(market):
    fit = market.confounders["fit"] if "fit" in market.confounders.column_names else pa.array(market.fit)
    rare = np.zeros(market.journeys.size)
    rare[:3] = 1
    table = pa.table({"fit": fit, "again": fit, "always": np.ones(len(rare)), "rare": rare})
    one, all_ = (Surroundings.of(market.journeys, some) for some in (table.select(["fit"]), table))
    assert all_.of_journeys(market.journeys.size, table).shape == one.of_journeys(len(rare), table).shape
