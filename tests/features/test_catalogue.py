"""The catalogue as declared."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest

from features.agreement import Agreement
from features.algebra import Count, Distinct, where
from features.catalogue import catalogue
from features.errors import UnknownError
from features.feature import FAMILIES, Feature

CATALOGUE = catalogue(Agreement.load())


def test_every_family_is_served() -> None:
    found = Counter(feature.family for feature in CATALOGUE.features)
    assert set(found) == set(FAMILIES)
    assert found.total() >= 80


@pytest.mark.parametrize("feature", CATALOGUE.features, ids=lambda feature: feature.name)
def test_a_feature_is_told_in_both_languages(feature: Feature) -> None:
    for texts in (feature.meaning, feature.saying, feature.absent):
        assert set(texts) == {"en", "zh"}
        assert re.search(r"[\u4e00-\u9fff]", texts["zh"])
        assert not re.search(r"[\u4e00-\u9fff]", texts["en"])
    value = "x" if feature.dtype == "category" else 3.0
    assert ("x" if feature.dtype == "category" else "3") in feature.phrase(value, "en")
    assert feature.phrase(np.nan, "zh") == feature.absent["zh"]


def test_no_two_features_say_the_same() -> None:
    expressions = Counter(feature.expression for feature in CATALOGUE.features)
    assert [expression for expression, number in expressions.items() if number > 1] == []


def test_direction_by_depth_and_touch_types_have_count_decay_and_recency() -> None:
    names = set(CATALOGUE.names)
    for stem in ("inbound_bofu", "outbound_tofu", "internal_mofu", "demo_requests", "calls"):
        assert {f"{stem}_30d", f"{stem}_days_since"} <= names
        assert any(name.startswith(f"{stem}_decay_") for name in names)


def test_counting_is_dtype_count() -> None:
    for feature in CATALOGUE.features:
        assert (feature.dtype == "count") == isinstance(feature.expression, Count | Distinct)


def test_a_zero_is_said_as_none() -> None:
    assert CATALOGUE["demo_requests_30d"].phrase(0.0, "en") == "no demo requests in 30 days"
    assert CATALOGUE["demo_requests_30d"].phrase(1234.0, "en") == "1,234 demo requests in 30 days"


def test_what_has_almost_faded_is_not_told_in_exponents():
    assert "<0.01" in CATALOGUE["meetings_decay_30d"].phrase(1.2e-05, "en")


def test_the_digest_sees_a_changed_definition() -> None:
    first = CATALOGUE.features[0]
    changed = Feature(**{**vars(first), "expression": Count("touches", where(direction="inbound"), 31)})
    assert CATALOGUE.subset(CATALOGUE.names[1:]).digest != CATALOGUE.digest
    assert type(CATALOGUE)((changed, *CATALOGUE.features[1:])).digest != CATALOGUE.digest


def test_an_unknown_feature_suggests_the_nearest() -> None:
    with pytest.raises(UnknownError, match="'demo_requests_30d'"):
        CATALOGUE["demo_request_30d"]
