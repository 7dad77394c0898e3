from __future__ import annotations

import json
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import BundleError, UnknownError
from models.encoding import Encoding

ENCODING = Encoding(("n", "country", "m"), ("count", "category", "number"), {"country": ("", "CN", "NL")})

numbers = st.none() | st.floats(allow_infinity=False) | st.integers(-(2**40), 2**40).map(float)
words = st.none() | st.sampled_from(["", "CN", "NL", "FR", "nan"]) | st.text(max_size=3)


@given(st.lists(st.tuples(numbers, words, numbers), max_size=8), st.booleans())
def test_a_row_is_encoded_as_the_matrix_encodes_it(rows, as_dictionary):
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    country = pa.array(columns[1], pa.string())
    table = pa.table(
        {
            "m": pa.array(columns[2], pa.float64()),
            "country": country.dictionary_encode() if as_dictionary else country,
            "n": pa.array(columns[0], pa.float64()),
        }
    )
    expected = np.array([ENCODING.row(row) for row in rows]).reshape(-1, 3)
    assert ENCODING.matrix(table).tobytes() == expected.tobytes() or np.array_equal(
        ENCODING.matrix(table), expected, equal_nan=True
    )


def test_codes_are_positions_in_the_sorted_training_values(market):
    assert market.encoding.categories["new_stage"] == ("bql", "lead", "mql", "sql")
    assert market.encoding.categories["country"] == ("CN", "NL")


def test_integers_with_nulls_become_numbers_with_nan():
    table = pa.table({"n": pa.array([1, None]), "country": pa.array(["CN", None]), "m": pa.array([None, 2.5])})
    assert np.array_equal(ENCODING.matrix(table), [[1, 1, math.nan], [math.nan, math.nan, 2.5]], equal_nan=True)


def test_it_survives_json():
    assert Encoding.from_json(json.loads(json.dumps(ENCODING.to_json()))) == ENCODING


def test_a_row_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match="argument"):
        ENCODING.row([1.0, "CN"])


def test_a_missing_column_is_named_with_the_nearest():
    with pytest.raises(UnknownError, match=r"'country'.*Did you mean 'contry'"):
        ENCODING.matrix(pa.table({"n": [1.0], "contry": ["CN"], "m": [1.0]}))


@pytest.mark.parametrize(
    "change",
    [
        {"names": ["n", "country"]},
        {"names": ["n", "country", "n"]},
        {"dtypes": ["count", "category", "text"]},
        {"categories": {}},
        {"categories": {"country": ["CN", 3]}},
    ],
)
def test_contradictions_in_json_are_refused(change):
    with pytest.raises(BundleError):
        Encoding.from_json({**ENCODING.to_json(), **change})
