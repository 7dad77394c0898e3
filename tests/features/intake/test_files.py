import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.errors import FileError
from features.intake.files import columns, read, recognise, tables_in, verify

CSV = 'id,name\n1,Aurora\n2,"Nord, Wind"\n3,\n'
LINES = '{"id":"1","name":"Aurora"}\n\n{"id":"2","name":"Nord, Wind"}\n{"id":"3","name":null}\n'


def write(path, text):
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def whole(path, **options):
    source = recognise(path, **options)
    verify(source)
    chunks = list(read(source, 2))
    return [record for chunk in chunks for record in chunk.records], [f for chunk in chunks for f in chunk.faults]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", CSV),
        ("a.csv.gz", CSV),
        ("a.CSV", "\ufeff" + CSV),
        ("a.tsv", CSV.replace("1,", "1\t").replace("2,", "2\t").replace("3,", "3\t").replace("d,n", "d\tn")),
        ("a.jsonl", LINES),
        ("a.ndjson.gz", LINES),
    ],
)
def test_every_text_format_gives_the_same_records(tmp_path, name, text):
    records, faults = whole(write(tmp_path / name, text))
    assert faults == []
    assert [(r["id"], r.get("name")) for r in records] == [("1", "Aurora"), ("2", "Nord, Wind"), ("3", None)]


def test_parquet_gives_typed_records(tmp_path):
    path = tmp_path / "a.parquet"
    times = pa.array([1, 2, None], pa.timestamp("ns", "UTC"))
    pq.write_table(
        pa.table({"id": ["1", "2", "3"], "at": times, "kind": pa.array(["x", "y", "x"]).dictionary_encode()}), path
    )
    records, _ = whole(path)
    assert [record["kind"] for record in records] == ["x", "y", "x"]
    assert [record.get("at") is None for record in records] == [False, False, True]
    assert columns(recognise(path)) == ("id", "at", "kind")


def test_a_directory_in_place_of_a_file_is_named(tmp_path):
    with pytest.raises(FileError, match="is a directory"):
        recognise(tmp_path)


def test_a_missing_file_suggests_its_neighbour(tmp_path):
    write(tmp_path / "touches.csv", CSV)
    with pytest.raises(FileError, match=r"No such file.*Did you mean 'touches.csv'"):
        recognise(tmp_path / "touchs.csv")


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet"])
def test_an_empty_file_is_refused(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(FileError, match="is empty"):
        recognise(tmp_path / name)


def test_gzip_of_nothing_is_refused(tmp_path):
    with pytest.raises(FileError, match="is empty"):
        whole(write(tmp_path / "a.csv.gz", ""))


@pytest.mark.parametrize("name", ["a.xlsx", "a", "a.parquet.gz", "a.json"])
def test_other_names_are_refused_with_what_is_allowed(tmp_path, name):
    with pytest.raises(FileError, match="Allowed are CSV"):
        recognise(write(tmp_path / name, CSV))


@pytest.mark.parametrize("kept", [5, 60, -9, -4])
def test_a_half_written_gzip_is_refused_before_its_first_row(tmp_path, kept):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress("".join(f"{i},{i * 7919}\n" for i in range(5000)).encode())[:kept])
    with pytest.raises(FileError, match="not a whole gzip file"):
        verify(recognise(path))


def test_a_flipped_byte_in_a_gzip_is_seen(tmp_path):
    path = write(tmp_path / "a.csv.gz", "".join(f"{i},{i * 7919}\n" for i in range(5000)))
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    path.write_bytes(damaged)
    with pytest.raises(FileError, match="not a whole gzip file"):
        verify(recognise(path))


def test_text_that_is_no_gzip_is_refused(tmp_path):
    (tmp_path / "a.csv.gz").write_text(CSV)
    with pytest.raises(FileError, match="not a whole gzip file"):
        verify(recognise(tmp_path / "a.csv.gz"))


@pytest.mark.parametrize("content", [b"PAR1 and no more", b"id,name\n1,2\n"])
def test_what_is_not_parquet_is_refused(tmp_path, content):
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(FileError, match="not a whole Parquet file"):
        verify(recognise(tmp_path / "a.parquet"))


def test_another_encoding_is_refused_unless_it_is_named(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("id,name\n1,北京\n".encode("gb18030"))
    with pytest.raises(FileError, match="not utf-8 text"):
        verify(recognise(path))
    assert whole(path, encoding="gb18030")[0] == [{"id": "1", "name": "北京"}]


def test_a_row_with_too_few_fields_is_a_fault_with_number_and_line(tmp_path):
    records, [fault] = whole(write(tmp_path / "a.csv", 'id,name\n1,"two\nlines"\n2\n3,x\n'))
    assert [record["id"] for record in records] == ["1", "3"]
    assert (fault.number, fault.message) == (2, "The row has 1 fields where the header has 2 (line 4).")


def test_an_open_quote_in_the_last_column_is_no_value(tmp_path):
    (tmp_path / "f.csv").write_text('a,b\n1,"x\ny"\n2,"x\n3,y\n')
    [chunk] = read(recognise(tmp_path / "f.csv"))
    assert chunk.records == [{"a": "1", "b": "x\ny"}]
    assert [fault.number for fault in chunk.faults] == [2]
    assert "line 4 to 5: a quote may not be closed" in chunk.faults[0].message


def test_an_open_quote_says_which_lines_it_swallowed(tmp_path):
    _, [fault] = whole(write(tmp_path / "a.csv", 'id,name\n1,a\n2,b,"c\n3,d\n4,e\n'))
    assert "lines" not in fault.message
    assert "(line 3 to 5: a quote may not be closed)" in fault.message


def test_lines_that_are_not_objects_are_faults(tmp_path):
    records, faults = whole(write(tmp_path / "a.jsonl", '{"id":1}\n{"id":\n[1]\n{"id":2}\n'))
    assert [record["id"] for record in records] == [1, 2]
    assert [fault.number for fault in faults] == [2, 3]


def test_a_name_that_stands_twice_in_the_header_is_refused(tmp_path):
    with pytest.raises(FileError, match="'id' twice"):
        columns(recognise(write(tmp_path / "a.csv", "id,id\n1,2\n")))


def test_a_folder_gives_its_tables_entities_first(tmp_path):
    for name in ("touchpoints.csv", "accounts.jsonl", "deals.csv.gz", "truth.json"):
        write(tmp_path / name, CSV)
    tables, others = tables_in(tmp_path)
    assert [name for name, _ in tables] == ["accounts", "touchpoints", "deals"]
    assert others == ["truth.json"]


def test_a_folder_with_a_table_twice_or_with_none_is_refused(tmp_path):
    with pytest.raises(FileError, match="none of the contract's tables"):
        tables_in(tmp_path)
    for name in ("deals.csv", "deals.jsonl"):
        write(tmp_path / name, CSV)
    with pytest.raises(FileError, match="deals twice"):
        tables_in(tmp_path)
