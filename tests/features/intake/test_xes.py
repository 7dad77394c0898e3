"""Event logs: what becomes of cases, events and attributes, and which files are refused."""

import gzip
import io
import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import FileError
from features.intake.files import columns, read, recognise, verify
from features.intake.xes import cases

LOG = """<?xml version="1.0" encoding="UTF-8"?>
<log xes.version="2.0" xmlns="http://www.xes-standard.org/">
  <extension name="Concept" prefix="concept" uri="http://www.xes-standard.org/concept.xesext"/>
  <global scope="event"><string key="org:resource" value="nobody"/></global>
  <classifier name="Activity" keys="concept:name"/>
  <string key="concept:name" value="the log"/>
  {traces}
</log>"""
CASE = """<trace>
  <string key="concept:name" value="c1"/><int key="AMOUNT_REQ" value="20000"/>
  <event>
    <string key="concept:name" value="sent"/><string key="lifecycle:transition" value="COMPLETE"/>
    <date key="time:timestamp" value="2011-10-01T00:38:44.546+02:00"/><string key="org:resource" value="112"/>
  </event>
  <event><string key="concept:name" value="back"/><boolean key="is-late" value="true"/></event>
</trace>"""


@pytest.fixture
def log(tmp_path):
    """Return a function that writes a log and returns its records and faults."""

    def write(traces, name="log.xes", frame=LOG):
        path = tmp_path / name
        data = frame.replace("{traces}", traces).encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        source = recognise(path)
        verify(source)
        chunks = list(read(source, 2))
        assert {name for chunk in chunks for record in chunk.records for name in record} <= set(columns(source))
        return [record for chunk in chunks for record in chunk.records], [f for chunk in chunks for f in chunk.faults]

    return write


@pytest.mark.parametrize("name", ["log.xes", "log.xes.gz", "LOG.XES"])
def test_each_event_is_a_record_with_what_is_said_of_its_case(log, name):
    records, faults = log(CASE, name)
    case = {"case_id": "c1", "amount_req": 20_000}
    sent = {"activity": "sent", "lifecycle": "COMPLETE", "timestamp": "2011-10-01T00:38:44.546+02:00"}
    assert records == [
        case | {"event_idx": 0, "resource": "112"} | sent,
        case | {"event_idx": 1, "activity": "back", "is_late": True},
    ]
    assert faults == []


def test_a_prefix_of_the_name_space_changes_nothing(log):
    plain, _ = log(CASE)
    prefixed = LOG.replace("xmlns=", "xmlns:x=").replace("<log", "<x:log").replace("</log", "</x:log")
    assert log(CASE.replace("<event", "<x:event").replace("</event", "</x:event"), frame=prefixed)[0] == plain


def test_nested_attributes_are_named_after_their_parents(log):
    [record], _ = log('<trace><event><string key="cost:total" value="9"><string key="currency" value="EUR"/></string>'
                      "</event></trace>")  # fmt: skip
    assert record == {"event_idx": 0, "cost_total": "9", "cost_total_currency": "EUR"}


@pytest.mark.parametrize("framed", ["<values>{}</values>", "{}"])
def test_a_list_is_one_column(log, framed):
    items = framed.format('<string key="item" value="a"/><int key="item" value="2"/>')
    [record], faults = log(f'<trace><event><list key="goods">{items}</list></event></trace>')
    assert record["goods"] == ["a", 2]
    assert faults == []


def test_what_case_and_event_both_have_is_told_apart(log):
    costs = '<int key="cost" value="2"/><int key="Cost" value="3"/>'
    [record], _ = log(f'<trace><int key="cost" value="1"/><event>{costs}</event></trace>')
    assert record == {"event_idx": 0, "case_cost": 1, "cost": 2, "event_cost": 3}


def test_an_event_outside_every_case_is_kept(log):
    records, _ = log(CASE + '<event><string key="concept:name" value="alone"/></event>')
    assert records[-1] == {"event_idx": 0, "activity": "alone"}


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ('<int key="n" value="two"/>', "'n' is no int: its value is 'two'"),
        ('<boolean key="b" value="yes"/>', "'b' is no boolean"),
        ('<colour key="c" value="red"/>', "'c' is no colour: .* Types are"),
        ('<string key="s"/>', "'s' is no string: it has no value"),
        ('<string value="s"/>', "<string> has no key"),
        ('<int key="n" value="1"/><int key="n" value="2"/>', "'n' is there twice"),
    ],
)
def test_an_event_that_can_not_be_read_is_set_aside_and_the_rest_goes_on(log, event, said):
    records, [fault] = log(f"<trace><event>{event}</event></trace>{CASE}")
    assert fault.number == 1
    assert len(records) == 2
    assert re.search(said, fault.message)


def test_a_case_without_events_is_set_aside_not_lost(log):
    records, [fault] = log('<trace><string key="concept:name" value="c0"/></trace>' + CASE)
    assert (fault.number, fault.message, fault.raw) == (1, "The case has no events.", {"case_id": "c0"})
    assert len(records) == 2


@pytest.mark.parametrize(
    "declared",
    [
        '<!DOCTYPE log [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>',
        '<!DOCTYPE log [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE log SYSTEM "log.dtd">',
    ],
)
def test_a_document_type_is_refused_with_every_entity_in_it(log, declared):
    with pytest.raises(FileError, match=r"has a document type.*at line 2, column"):
        log(CASE, frame=LOG.replace("\n<log", f"\n{declared}\n<log"))


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ("<log><trace></log>", r"not well-formed XML \(mismatched tag\), at line 1, column 15"),
        ("<log><trace>", r"not well-formed XML \(no element found\), at line 1, column 13"),
        ("<log>&b;</log>", r"not well-formed XML \(undefined entity\), at line 1, column 6"),
        ("case,activity\n1,a\n", r"not well-formed XML \(syntax error\), at line 1"),
        ('<?xml version="1.0" encoding="gb18030"?><log/>', "in an encoding that can not be read, at line 1"),
        ('<?xml version="1.0" encoding="hex"?><log/>', "in an encoding that can not be read, at line 1"),
        ("<html><body/></html>", "not an event log, since it starts with <html>"),
        ("<log><trace>" + "<string>" * 100 + "</log>", "more than 64 deep"),
    ],
)
def test_what_is_no_log_is_refused_with_its_place(log, frame, said):
    with pytest.raises(FileError, match=said):
        log("", frame=frame)


def test_half_a_download_is_refused(tmp_path):
    path = tmp_path / "log.xes.gz"
    path.write_bytes(gzip.compress(LOG.replace("{traces}", CASE * 50).encode())[:-30])
    with pytest.raises(FileError, match="not a whole gzip file"):
        verify(recognise(path))


def test_a_tag_without_end_is_refused(log):
    with pytest.raises(FileError, match="more than 16 MB"):
        log(f'<trace><string key="x" value="{"y" * (20 << 20)}"/></trace>')


def test_keys_without_number_are_refused(log):
    with pytest.raises(FileError, match="more than 2,000 different attributes"):
        log("<trace>" + "".join(f'<string key="k{n}" value=""/>' for n in range(2_001)) + "</trace>")


def test_one_case_is_in_memory_at_a_time(tmp_path):
    path = tmp_path / "log.xes.gz"
    path.write_bytes(gzip.compress(LOG.replace("{traces}", CASE * 10_000).encode(), 1))
    tracemalloc.start()
    verify(recognise(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 15e6  # a block at a time; all cases at once take 26 MB


@given(at=st.integers(0, 1_100), inserted=st.binary(max_size=4), dropped=st.integers(0, 40))
def test_a_damaged_log_gives_cases_or_says_that_it_is_none(at, inserted, dropped):
    whole = LOG.replace("{traces}", CASE).encode()
    said = ""
    try:
        found = len(list(cases(io.BytesIO(whole[:at] + inserted + whole[at + dropped :]), "log.xes")))
    except FileError as error:
        found, said = 0, str(error)
    assert found <= 1
    assert not said or ("'log.xes' " in said and ", at line " in said)


@pytest.mark.slow
def test_the_real_log_gives_the_records_of_the_same_log_as_csv(bpic2012):
    original = recognise(bpic2012.with_name("BPI_Challenge_2012.xes.gz"))
    told = [record for chunk in read(original) for record in chunk.records]
    table = [record for chunk in read(recognise(bpic2012)) for record in chunk.records]
    assert len(told) == 262_200
    assert len({record["case_id"] for record in told}) == 13_087
    for record, same in zip(told, table, strict=True):
        assert {name: str(value) for name, value in record.items()} == {n: v for n, v in same.items() if v is not None}
