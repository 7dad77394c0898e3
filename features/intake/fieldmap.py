"""A field map: one TOML file that says which column of a sender's file is what.

`FieldMap.load` reads and checks it, `FieldMap.fit` checks it against the columns of a file, and `FieldMap.rows` turns
one record of the file into rows of the contract. The language is described in docs/field-maps.md.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import count
from pathlib import Path
from typing import Any

from features.errors import AgreementError, FieldMapError, RowError, nearest
from features.intake.cells import Cell, compile_cell
from features.intake.files import Record
from features.intake.rows import Row, RowParser
from features.intake.times import TimeReading, zone
from features.intake.values import as_text, shown
from features.schema import TABLES, Type
from features.toml_section import Section, read_toml

AFTERWARDS = ("sales", "vendor")
"""Writers who fill in a column after the fact, knowing how it went: such a column must say when it was written."""

MAPPED_TABLES = tuple(name for name in TABLES if name not in ("touch_links", "scores"))
"""Tables a field map can fill; links and scores are made by the ledger and the service."""

_CLOCKS = {"revision": Type.INTEGER, "deleted": Type.FLAG}
_ENTITIES = ("accounts", "contacts")


@dataclass(frozen=True)
class Attribute:
    """A dated fact of an account or contact, from one row.

    Parameters
    ----------
    field : str
        Its name in the ledger.
    value : Cell
    at : Cell or None
        From when it holds; None means that it holds since the entity was created.
    set_by : str or None
        Who wrote it.
    """

    field: str
    value: Cell
    at: Cell | None
    set_by: str | None


@dataclass(frozen=True)
class Rule:
    """What becomes of the rows that a condition selects.

    Parameters
    ----------
    where : str
        Path of the rule in the map.
    when : tuple of (str, tuple of str)
        Columns, each with the values or patterns of which one must match.
    table : str or None
        Table of the contract; None means that the rows are ignored.
    cells : tuple of (str, Cell)
        Columns of that table.
    attributes : tuple of Attribute
    """

    where: str
    when: tuple[tuple[str, tuple[str, ...]], ...]
    table: str | None
    cells: tuple[tuple[str, Cell], ...] = ()
    attributes: tuple[Attribute, ...] = ()


@dataclass(frozen=True)
class FieldMap:
    """The meaning of a sender's file.

    Parameters
    ----------
    name : str
        Name of the map's own file, for messages.
    encoding, delimiter : str, str or None
        Of a CSV file; a delimiter of None goes by the name of the file.
    optional : tuple of str
        Columns that a file may lack.
    known_at : Cell or None
        When each row was learnt, where the file says so.
    assumed : bool
        Whether rows count as known when they happened.
    reject_unmatched : bool
        Whether a row that no rule selects is rejected; otherwise it is ignored.
    rules : tuple of Rule
    """

    name: str
    encoding: str
    delimiter: str | None
    optional: tuple[str, ...]
    known_at: Cell | None
    assumed: bool
    reject_unmatched: bool
    rules: tuple[Rule, ...]

    @classmethod
    def load(cls, path: Path) -> FieldMap:
        """Read a field map.

        Raises
        ------
        FieldMapError
            When the file is not TOML, has an unknown key, or contradicts itself or the contract.
        """
        try:
            return _read(Section(read_toml(path)), path.name)
        except (AgreementError, FieldMapError) as error:
            said = str(error) if path.name in str(error) else f"{path.name}: {error}"
            raise FieldMapError(said, hint=error.hint or "See docs/field-maps.md.") from error

    @property
    def columns(self) -> dict[str, str]:
        """Columns of the file that the map names, each with the place in the map that names it first."""
        named: dict[str, str] = {}
        for rule in self.rules:
            for column, _ in rule.when:
                named.setdefault(column, f"{rule.where}.when")
            for name, cell in rule.cells:
                for column in cell.columns:
                    named.setdefault(column, f"{rule.where}.set.{name}")
            for attribute in rule.attributes:
                for source in (attribute.value, attribute.at):
                    for column in source.columns if source else ():
                        named.setdefault(column, f"{rule.where}.attributes.{attribute.field}")
        for column in self.known_at.columns if self.known_at else ():
            named.setdefault(column, "known_at")
        return named

    def fit(self, columns: Collection[str], file: str) -> None:
        """Check that a file has every column the map names.

        Raises
        ------
        FieldMapError
            Naming the missing column, where the map names it, and the nearest column of the file.
        """
        present = set(columns)
        for column, where in self.columns.items():
            if column not in present and column not in self.optional:
                message = f"{self.name}: {where} names the column {column!r}, which {file} does not have."
                hint = f"The columns of {file}: {', '.join(columns)}." if columns else ""
                raise FieldMapError(message + nearest(column, columns), hint=hint)

    def rows(self, parser: RowParser) -> Callable[[Record], list[tuple[str, Row]] | None]:
        """Return a function from a record of the file to its rows, or to None when the record is ignored.

        The function raises RowError, naming the column of the file, when a row breaks the contract.
        """
        choose = self._chooser()

        def mapped(record: Record) -> list[tuple[str, Row]] | None:
            rules = choose(record)
            if rules is None:
                return None
            known_at = self.known_at.read(record) if self.known_at else None
            rows: list[tuple[str, Row]] = []
            for rule in rules:
                rows += _apply(rule, record, known_at, parser)
            return rows

        return mapped

    def _chooser(self) -> Callable[[Record], tuple[Rule, ...] | None]:
        """Return a function from a record to the rules that select it, remembered by the values that decide."""
        names = tuple(dict.fromkeys(column for rule in self.rules for column, _ in rule.when))
        chosen: dict[tuple[str, ...], tuple[Rule, ...] | None] = {}

        def choose(record: Record) -> tuple[Rule, ...] | None:
            deciding = tuple([as_text(record.get(name)) or "" for name in names])
            if deciding in chosen:
                return chosen[deciding]
            values = dict(zip(names, deciding, strict=True))
            matching = tuple(rule for rule in self.rules if _matches(rule, values))
            if not matching and self.reject_unmatched:
                raise _unmatched(self.rules, values)
            found = None if not matching or any(rule.table is None for rule in matching) else matching
            if len(chosen) < 10_000:  # a condition on an id would otherwise remember every row
                chosen[deciding] = found
            return found

        return choose


def _unmatched(rules: Sequence[Rule], values: Mapping[str, str]) -> RowError:
    said = ", ".join(f"{name} = {shown(value)}" for name, value in values.items())
    guesses = ""
    for name, value in values.items():
        known = {pattern for rule in rules for column, patterns in rule.when if column == name for pattern in patterns}
        guesses += "" if value in known else nearest(value, known)
    message = f"No rule of the map selects a row with {said}.{guesses}"
    return RowError(" ".join(values), "unmatched", message, value=" ".join(values.values()))


def _matches(rule: Rule, values: Mapping[str, str]) -> bool:
    return all(any(fnmatchcase(values[name], pattern) for pattern in patterns) for name, patterns in rule.when)


def _apply(rule: Rule, record: Record, known_at: object, parser: RowParser) -> list[tuple[str, Row]]:
    assert rule.table is not None
    raw: dict[str, object] = {name: cell.read(record) for name, cell in rule.cells}
    if known_at is not None and TABLES[rule.table].fact:
        raw["known_at"] = known_at
    try:
        rows = parser.parse(rule.table, raw, camel=False)
    except RowError as error:
        source = next((cell.columns for name, cell in rule.cells if name == error.field), ())
        raise RowError(" ".join(source) or error.field, error.code, error.message, value=error.value) from None
    entity, key = rule.table[:-1], rows[0][1].get(TABLES[rule.table].key[0])
    for attribute in rule.attributes:
        value = attribute.value.read(record)
        if value is None:
            continue
        at = attribute.at.read(record) if attribute.at else rows[0][1].get("created_at")
        if at is None:
            field = " ".join(attribute.at.columns) if attribute.at else "created_at"
            message = f"`{attribute.field}` has a value but no time from which it holds."
            raise RowError(field, "required", message)
        fact = {"entity": entity, "id": key, "field": attribute.field, "occurred_at": at, "value": value}
        fact |= {"set_by": attribute.set_by, "known_at": known_at}
        rows += parser.parse("attributes", fact, camel=False)
    return rows


def _read(top: Section, name: str) -> FieldMap:
    file = top.section("file")
    encoding = file.text("encoding", "utf-8")
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise file.wrong("encoding", "must be a text encoding, as utf-8 or gb18030", encoding) from None
    delimiter = file.text("delimiter", "") or None
    if delimiter and len(delimiter) != 1:
        raise file.wrong("delimiter", "must be one character", delimiter)
    optional = file.texts("optional") if file.value("optional", None) is not None else ()
    file.close()

    times = _times(top.section("time"))
    translations = {key: _translation(table) for key, table in _tables(top.section("values"))}
    known = top.text("known_at")
    known_at = None
    if known not in ("assumed", "now"):
        if "{" not in known:
            raise top.wrong("known_at", 'must be "assumed", "now" or a column in braces', known)
        known_at = compile_cell(known, Type.TIME, "known_at", times, translations)
    unmatched = top.text("unmatched", "reject", choices=("reject", "ignore"))
    defaults = {table: _raw(section) for table, section in _tables(top.section("defaults"))}
    for table in defaults:
        _table(table, f"defaults.{table}")
    rules = tuple(
        _rule(Section(content, f"rows[{number}]"), times, translations, defaults)
        for number, content in zip(count(1), _rule_tables(top), strict=False)
    )
    top.close()
    return FieldMap(name, encoding, delimiter, optional, known_at, known == "assumed", unmatched == "reject", rules)


def _times(section: Section) -> TimeReading:
    named = section.text("zone", "")
    written = section.text("format", "")
    section.close()
    return TimeReading(zone(named, "time.zone") if named else None, written or None)


def _translation(section: Section) -> dict[str, object]:
    content = _raw(section)
    for key, value in content.items():
        if isinstance(value, dict | list):
            raise section.wrong(key, "must be a text or a number", value)
    return content


def _rule_tables(top: Section) -> list[dict[str, Any]]:
    content = top.value("rows", None)
    if not isinstance(content, list) or not content or not all(isinstance(rule, dict) for rule in content):
        raise FieldMapError("A map needs at least one rule, [[rows]].")
    return content


def _rule(
    section: Section,
    times: TimeReading,
    translations: Mapping[str, Mapping[str, object]],
    defaults: Mapping[str, Mapping[str, object]],
) -> Rule:
    condition = section.section("when")
    when = tuple((column, tuple(map(str, condition.texts(column)))) for column in condition.unread())
    if section.value("ignore", False) is True:
        section.close()
        return Rule(section.path, when, None)
    table = section.text("table")
    _table(table, section.name("table"))
    declared = {**defaults.get(table, {}), **_raw(section.section("set"))}
    types = _types(table)
    cells = []
    for name, cell in declared.items():
        if name not in types:
            message = f"{section.name('set')}: {table} have no column {name!r}.{nearest(name, types)}"
            raise FieldMapError(f"{message} Columns: {', '.join(types)}.")
        cells.append((name, compile_cell(cell, types[name], section.name(f"set.{name}"), times, translations)))
    _complete(table, declared, section)
    attributes = _attributes(section, table, declared, times, translations)
    section.close()
    return Rule(section.path, when, table, tuple(cells), attributes)


def _complete(table: str, declared: Mapping[str, object], section: Section) -> None:
    """Refuse a rule that can never make a row, before a million rows are rejected one by one."""
    derived = {"touchpoints": "event_id", "stage_changes": "change_id"}.get(table)
    for column in TABLES[table].columns:
        if column.required and column.name not in declared and column.name != derived and "deleted" not in declared:
            raise FieldMapError(f"{section.name('set')} must say `{column.name}`: {column.meaning}.")


def _attributes(
    section: Section,
    table: str,
    declared: Mapping[str, object],
    times: TimeReading,
    translations: Mapping[str, Mapping[str, object]],
) -> tuple[Attribute, ...]:
    tables = section.section("attributes")
    if tables.unread() and table not in _ENTITIES:
        raise FieldMapError(f"{tables.path} belong to accounts and contacts, not to {table}.")
    return tuple(_attribute(name, attribute, declared, times, translations) for name, attribute in _tables(tables))


def _attribute(
    name: str,
    section: Section,
    declared: Mapping[str, object],
    times: TimeReading,
    translations: Mapping[str, Mapping[str, object]],
) -> Attribute:
    """Read one attribute; one that may have been written after the outcome must say when it was written."""
    set_by = section.text("written_by", "") or None
    static = section.value("static", False) is True
    dated = section.value("at", None)
    content = {key: section.value(key, None) for key in ("column", "text", "values", "otherwise")}
    section.close()
    if static and dated is not None:
        raise FieldMapError(f"{section.path}: either it is static or it holds from `at`; not both.")
    named = section.path + (f" (column {content['column']!r})" if content["column"] is not None else "")
    if dated is None and set_by is not None and set_by.casefold() in AFTERWARDS:
        raise FieldMapError(
            f"{named} is written by {set_by}, after the fact, and has no time: a model would learn the outcome from"
            " it.",
            hint='Give the time it was written, at = "{column}", or leave it out.',
        )
    if dated is None and set_by is None and not static:
        raise FieldMapError(
            f"{named} has neither a time (`at`) nor a writer (`written_by`): it may have been written after the"
            " outcome.",
            hint='Say at = "{column}", or written_by = "customer", or static = true if it never changes.',
        )
    if dated is None and "created_at" not in declared:
        raise FieldMapError(f"{section.path} has no `at`, so it holds from `created_at`, which the rule must then say.")
    cell = {key: value for key, value in content.items() if value is not None}
    value = compile_cell(cell, Type.TEXT, section.path, times, translations)
    at = None if dated is None else compile_cell(dated, Type.TIME, section.name("at"), times, translations)
    return Attribute(name, value, at, set_by)


def _types(table: str) -> dict[str, Type]:
    types = {column.name: column.type for column in TABLES[table].columns}
    if "email_hash" in types:
        del types["email_hash"]  # a file has addresses; they go in as `email` and are hashed
        types["email"] = Type.TEXT
    return types | (_CLOCKS if TABLES[table].fact else {})


def _table(name: str, where: str) -> None:
    if name not in MAPPED_TABLES:
        raise FieldMapError(f"{where}: there is no table {name!r}.{nearest(name, MAPPED_TABLES)}")


def _tables(section: Section) -> list[tuple[str, Section]]:
    return [(name, section.section(name)) for name in section.unread()]


def _raw(section: Section) -> dict[str, Any]:
    return {key: section.value(key) for key in section.unread()}
