"""The shipped map for data without time: what it takes, and what its like is refused for."""

import pytest

from features.agreement import Agreement
from features.algebra import atoms
from features.errors import FieldMapError
from features.intake.fieldmap import FieldMap

WRITTEN_AFTERWARDS = {
    "Tags": "sales",
    "Lead Quality": "Sales",
    "Lead Profile": "sales",
    "Asymmetrique Activity Index": "vendor",
    "Asymmetrique Profile Index": "vendor",
    "Asymmetrique Activity Score": "vendor",
    "Asymmetrique Profile Score": "Vendor",
}


@pytest.fixture
def with_column(examples, tmp_path):
    """Return a function that loads the shipped map with one more attribute."""

    def load(column: str, origin: str) -> FieldMap:
        text = (examples / "x_education.toml").read_text(encoding="utf-8")
        path = tmp_path / "map.toml"
        path.write_text(
            text.replace("[rows.attributes]\n", f'[rows.attributes]\nmore = {{ column = "{column}", {origin} }}\n'),
            encoding="utf-8",
        )
        return FieldMap.load(path)

    return load


@pytest.mark.parametrize("column", WRITTEN_AFTERWARDS)
@pytest.mark.parametrize("claim", ["", ", static = true"])
def test_what_sales_or_a_vendor_wrote_is_refused_by_column_with_the_mend(with_column, column, claim):
    with pytest.raises(FieldMapError, match=f"column '{column}'.*after the fact") as caught:
        with_column(column, f'written_by = "{WRITTEN_AFTERWARDS[column]}"{claim}')
    assert 'at = "{column}"' in caught.value.hint


def test_a_column_of_unknown_origin_is_refused(with_column):
    with pytest.raises(FieldMapError, match=r"column 'Tags'.*neither a time"):
        with_column("Tags", 'values = { Busy = "busy" }')


def test_no_honest_column_is_refused_and_each_is_a_feature(examples):
    shipped = FieldMap.load(examples / "x_education.toml")
    fields = {attribute.field for rule in shipped.rules for attribute in rule.attributes}
    agreement = Agreement.load(examples / "x_education.agreement.toml")
    read = {
        field
        for feature in agreement.features
        for atom in atoms(feature.expression)
        for field in dict(atom.where.terms)["field"]
    }
    assert fields == read | {"country"}
    assert not fields & {"tags", "lead_quality", "lead_profile"}
    assert len(fields) == 26
