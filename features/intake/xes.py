"""Event logs of process mining, IEEE XES: each event with what is said of it and of its case.

The columns have short names, so that one field map reads a log and a table made of it: ``case_id``, ``event_idx`` (the
place of the event in its case, from 0), ``activity``, ``lifecycle``, ``resource`` and ``timestamp`` for the standard
keys; any other key in small letters, with ``_`` for what is neither letter nor digit. A nested attribute is named after
its parents too, a list is one column. Of two alike, the second is preceded by ``case_`` or ``event_``.

A log is read as a stream, one case in memory at a time, by a parser that looks nothing up: a document type, without
which there are no entities, is refused.

References
----------
IEEE Std 1849-2023, IEEE Standard for eXtensible Event Stream (XES), sections 4 (structure) and 5 (extensions).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, NamedTuple
from xml.parsers import expat

from features.errors import FileError

Path = tuple[str, ...]
"""An attribute: its key, preceded by those of the attributes that it is nested in."""

_CASE: Mapping[Path, str] = {("concept:name",): "case_id"}
_EVENT: Mapping[Path, str] = {
    ("concept:name",): "activity",
    ("lifecycle:transition",): "lifecycle",
    ("org:resource",): "resource",
    ("time:timestamp",): "timestamp",
}
_PLACE = "event_idx"
_BLOCK = 1 << 20
_LONGEST_TAG = 1 << 24
_LARGEST_CASE = 2_000_000
_DEEPEST = 64
_MOST_COLUMNS = 2_000


@dataclass
class Attributes:
    """What a case or an event says of itself.

    Parameters
    ----------
    values : dict of Path to object
        Text, numbers and booleans by type; times stay text, as they are written.
    fault : str
        What of it can not be read; empty when all can.
    """

    values: dict[Path, object] = field(default_factory=dict)
    fault: str = ""


@dataclass
class Case:
    """A trace with its events, or an event of its own with a case that says nothing."""

    own: Attributes = field(default_factory=Attributes)
    events: list[Attributes] = field(default_factory=list)


@dataclass(frozen=True)
class Columns:
    """The columns of a log: the name of each attribute of its cases and of its events."""

    case: Mapping[Path, str]
    event: Mapping[Path, str]

    @classmethod
    def of(cls, log: Iterable[Case], name: str) -> Columns:
        """Name the attributes of a log, which is read to its end: the last event may have one that no other has.

        Raises
        ------
        FileError
            When there are more of them than any log needs: keys were used for what are values.
        """
        of_case: dict[Path, None] = {}
        of_event: dict[Path, None] = {}
        for case in log:
            of_case.update(dict.fromkeys(case.own.values))
            for event in case.events:
                of_event.update(dict.fromkeys(event.values))
            if len(of_case) + len(of_event) > _MOST_COLUMNS:
                raise FileError(f"{name!r} has more than {_MOST_COLUMNS:,} different attributes. Nothing was taken in.")
        ours = {_PLACE, *_CASE.values(), *_EVENT.values()}
        names = _named(of_event, _EVENT, "event_", ours)
        return cls(_named(of_case, _CASE, "case_", {*ours, *names.values()}), names)

    @property
    def names(self) -> tuple[str, ...]:
        """Every column, those of the case first."""
        return (*self.case.values(), _PLACE, *self.event.values())

    def records(self, case: Case) -> Iterator[tuple[dict[str, object], str]]:
        """Yield the record of each event of a case, and what is wrong with it, which is empty as a rule.

        A case without events yields one, so that it does not go unseen.
        """
        told = {self.case[path]: value for path, value in case.own.values.items()}
        if not case.events:
            yield told, case.own.fault or "The case has no events."
        for place, event in enumerate(case.events):
            record = {**told, _PLACE: place}
            for path, value in event.values.items():
                record[self.event[path]] = value
            yield record, event.fault or case.own.fault


def cases(file: IO[bytes], name: str) -> Iterator[Case]:
    """Yield the cases of a log in their order.

    Parameters
    ----------
    file : binary file
    name : str
        What the file is called in messages.

    Raises
    ------
    FileError
        When it is not well-formed XML, is not a log, has a document type, or is deep or large beyond reason; with the
        line and column.
    """
    log = _Log()
    passed, block = 0, b"<"
    while block:
        block = file.read(_BLOCK)
        passed += len(block)
        _parse(log, block, passed, name)
        yield from log.whole
        log.whole.clear()


def _parse(log: _Log, block: bytes, passed: int, name: str) -> None:
    parser = log.parser
    try:
        parser.Parse(block, not block)
        if passed - parser.CurrentByteIndex > _LONGEST_TAG:
            raise _RefusedError("has a tag of more than 16 MB")
    except expat.ExpatError as error:
        said = f"is not well-formed XML ({str(error).partition(':')[0]})"
        raise _refusal(name, said, error.lineno, error.offset) from error
    except _RefusedError as error:
        raise _refusal(name, str(error), parser.CurrentLineNumber, parser.CurrentColumnNumber) from error
    except (LookupError, ValueError) as error:
        said = "is in an encoding that can not be read"
        raise _refusal(name, said, parser.CurrentLineNumber, parser.CurrentColumnNumber) from error


class _RefusedError(Exception):
    """What is wrong with the file, to go on after its name."""


def _refusal(name: str, what: str, line: int, column: int) -> FileError:
    return FileError(
        f"{name!r} {what}, at line {line:,}, column {column + 1:,}. Nothing of it was taken in.",
        hint="Export the log again, as XES in UTF-8 without a document type; what is in the ledger is untouched.",
    )


class _Element(NamedTuple):
    """An element and those in it, as long as they are needed."""

    tag: str
    given: Mapping[str, str]
    inner: list[_Element]


class _Log:
    """Where the parser is in a log, and the cases that are whole and not yet fetched."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = self._document_type
        self.whole: list[Case] = []
        self._open: list[_Element] = []
        self._events: list[Attributes] = []
        self._elements = 0

    def _document_type(self, *declared: object) -> None:
        raise _RefusedError("has a document type, which could name other files or expand without end")

    def _start(self, tag: str, given: dict[str, str]) -> None:
        if ":" in tag:
            tag = tag.rpartition(":")[2]
        element = _Element(tag, given, [])
        above = self._open
        if len(above) > 1:
            above[-1].inner.append(element)
            self._elements += 1
            if self._elements > _LARGEST_CASE or len(above) == _DEEPEST:
                raise _RefusedError(
                    f"has a case of more than {_LARGEST_CASE:,} attributes, or nests them more than {_DEEPEST} deep"
                )
        elif above:
            self._elements = 0
        elif tag != "log":
            raise _RefusedError(f"is not an event log, since it starts with <{tag[:60]}> instead of <log>")
        above.append(element)

    def _end(self, tag: str) -> None:
        element = self._open.pop()
        depth = len(self._open)
        if depth > 2:
            return
        if element.tag == "event" and (depth == 1 or (depth == 2 and self._open[1].tag == "trace")):
            self._events.append(_attributes(element))
            if depth == 2:
                self._open[1].inner.pop()
        if depth == 1 and element.tag in ("trace", "event"):
            self.whole.append(Case(_attributes(element) if element.tag == "trace" else Attributes(), self._events))
            self._events = []


def _attributes(element: _Element) -> Attributes:
    found = Attributes()
    _gather(found, element, ())
    return found


def _gather(found: Attributes, owner: _Element, above: Path) -> None:
    values = found.values
    for element in owner.inner:
        tag, given, inner = element
        key = given.get("key")
        if not key:
            found.fault = found.fault or f"An attribute <{tag[:60]}> has no key."
            continue
        path = (*above, key)
        if path in values:
            found.fault = found.fault or f"The attribute {key[:60]!r} is there twice."
        if tag in _LISTS:
            values[path] = [_value(found, item) for item in _items(element)]
            continue
        values[path] = given["value"] if tag in _TEXTS and "value" in given else _value(found, element)
        if inner:
            _gather(found, element, path)


def _items(listing: _Element) -> Iterator[_Element]:
    """Yield the elements of a list, which stand in a frame of their own or, since 2023, in the list itself."""
    for element in listing.inner:
        yield from element.inner if element.tag == "values" else (element,)


def _value(found: Attributes, element: _Element) -> object:
    text = element.given.get("value")
    read = _TYPES.get(element.tag)
    if text is not None and read is not None:
        try:
            return read(text)
        except (ValueError, KeyError):
            pass
    said = f"its value is {text[:60]!r}" if text is not None else "it has no value"
    allowed = "" if read else f" Types are {', '.join(_TYPES)}, list and container."
    key = element.given.get("key", "")[:60]
    found.fault = found.fault or f"The attribute {key!r} is no {element.tag[:60]}: {said}.{allowed}"
    return text


_TEXTS = frozenset({"string", "date", "id"})
_LISTS = ("list", "container")
_TYPES: Mapping[str, Callable[[str], object]] = {
    **dict.fromkeys(_TEXTS, str),
    "int": int,
    "float": float,
    "boolean": {"true": True, "false": False, "1": True, "0": False}.__getitem__,
}
"""How the value of each type is read."""


def _named(paths: Iterable[Path], known: Mapping[Path, str], prefix: str, taken: Collection[str]) -> dict[Path, str]:
    names: dict[Path, str] = {}
    used = set(taken)
    for path in paths:
        name = known.get(path) or re.sub(r"\W+", "_", "_".join(path).lower())
        while name in used and path not in known:
            name = prefix + name
        names[path] = name
        used.add(name)
    return names
