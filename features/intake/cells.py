"""How a field map says where one value comes from: a constant, a template, or a column with a translation.

A cell is declared once in TOML and compiled into a function of a record. Text in braces names a column,
``"{case_id}-{event_idx:04d}"``; other text stands for itself. A table says more: ``column`` or ``text``, ``values`` (a
translation) with ``otherwise``, ``multiply`` for money and numbers, ``format`` and ``zone`` for times.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from features.errors import FieldMapError, RowError, nearest
from features.intake.files import Record
from features.intake.times import TimeReading, zone
from features.intake.values import MAX_INTEGER, as_text, shown
from features.schema import Type

CELL_KEYS = ("column", "text", "values", "otherwise", "multiply", "format", "zone")
"""Keys of a cell that is written as a table."""
_TRUE = frozenset({"true", "t", "yes", "y", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "0"})


@dataclass(frozen=True)
class Cell:
    """Where one value comes from.

    Parameters
    ----------
    columns : tuple of str
        Columns of the file it reads.
    read : callable
        The typed value for a record; raises RowError when the record's value can not be one.
    """

    columns: tuple[str, ...]
    read: Callable[[Record], object]


def compile_cell(
    declared: object, kind: Type, where: str, times: TimeReading, translations: Mapping[str, Mapping[str, object]]
) -> Cell:
    """Compile what a field map declares for one value.

    Parameters
    ----------
    declared : object
        The value in TOML.
    kind : Type
        Type of the value in the contract.
    where : str
        Path of the declaration in the map, for messages.
    times : TimeReading
        How times are written unless the cell says otherwise.
    translations : mapping
        The map's named ``[values.NAME]`` tables.

    Raises
    ------
    FieldMapError
        When the declaration makes no sense.
    """
    if kind is Type.JSON and isinstance(declared, dict) and not {"column", "text"} & declared.keys():
        return _object(declared, where, times, translations)
    if isinstance(declared, str):
        declared = {"text": declared}
    elif kind is Type.TIME and isinstance(declared, date):
        return _constant_time(declared, where, times)
    elif isinstance(declared, bool | int | float):
        constant = as_text(declared) if kind in (Type.TEXT, Type.CURRENCY) else declared
        return Cell((), lambda record: constant)
    if not isinstance(declared, dict):
        raise FieldMapError(f"{where} must be a text, a number or a table with `column`. Got {declared!r} instead.")
    _check_keys(declared, kind, where)
    source = _column(declared["column"]) if "column" in declared else _template(declared["text"], where)
    if kind is Type.TIME and not source.columns and "format" not in declared:
        return _constant_time(declared["text"], where, times)
    if "values" in declared:
        source = _translated(source, declared, where, translations)
    return Cell(source.columns, _typed(source, kind, declared, where, times))


def _constant_time(declared: object, where: str, times: TimeReading) -> Cell:
    """Read a time that stands in the map itself: always ISO 8601, whatever the file's format is."""
    try:
        constant = TimeReading(times.zone).read(where, declared)
    except RowError as error:
        raise FieldMapError(error.message) from None
    return Cell((), lambda record: constant)


def _check_keys(declared: dict[str, Any], kind: Type, where: str) -> None:
    for key, value in declared.items():
        if key not in CELL_KEYS:
            raise FieldMapError(
                f"{where}: unknown key `{key}`.{nearest(key, CELL_KEYS)} Allowed: {', '.join(CELL_KEYS)}."
            )
        wrong = {
            "column": not isinstance(value, str),
            "text": not isinstance(value, str),
            "values": not isinstance(value, str | dict),
            "multiply": isinstance(value, bool) or not isinstance(value, int | float),
            "format": not isinstance(value, str),
            "zone": not isinstance(value, str),
        }
        if wrong.get(key):
            raise FieldMapError(f"{where}.{key} can not be {value!r}.")
    if ("column" in declared) == ("text" in declared):
        raise FieldMapError(f"{where} must say either `column` or `text`.")
    if "otherwise" in declared and "values" not in declared:
        raise FieldMapError(f"{where}: `otherwise` belongs beside `values`.")
    if "multiply" in declared and kind not in (Type.MONEY, Type.NUMBER, Type.INTEGER):
        raise FieldMapError(f"{where}: only money and numbers can be multiplied.")
    if {"format", "zone"} & declared.keys() and kind is not Type.TIME:
        raise FieldMapError(f"{where}: `format` and `zone` belong to times.")


def _column(name: str) -> Cell:
    return Cell((name,), lambda record: record.get(name))


def _template(pattern: str, where: str) -> Cell:
    try:
        parts = list(string.Formatter().parse(pattern))
    except ValueError as error:
        raise FieldMapError(f"{where}: {pattern!r} is not a template: {error}. Columns stand in braces.") from None
    named = [name for _, name, _, _ in parts if name is not None]
    if any(not name or conversion for _, name, _, conversion in parts if name is not None):
        raise FieldMapError(f"{where}: {pattern!r} has braces without the name of a column. Write {{{{ for a brace.")
    if not named:
        constant = "".join(literal for literal, *_ in parts)
        return Cell((), lambda record: constant)
    if len(parts) == 1 and not parts[0][0] and not parts[0][2]:
        return _column(named[0])
    pieces = tuple((literal, name, spec or "") for literal, name, spec, _ in parts)
    for _, name, spec in pieces:
        if name is not None and spec:
            _try_spec(spec, where)

    def read(record: Record) -> object:
        written = []
        for literal, name, spec in pieces:
            written.append(literal)
            if name is None:
                continue
            value = record.get(name)
            if value is None:
                raise RowError(name, "required", f"`{name}` is missing, and {pattern!r} needs it.")
            written.append(_formatted(name, value, spec))
        return "".join(written)

    return Cell(tuple(dict.fromkeys(named)), read)


def _try_spec(spec: str, where: str) -> None:
    try:
        format(1 if spec[-1] == "d" else "a", spec)
    except ValueError:
        raise FieldMapError(f"{where}: {{...:{spec}}} is not a format. Allowed are widths, as 04d or >8.") from None


def _formatted(name: str, value: object, spec: str) -> str:
    if not spec:
        return as_text(value) or ""
    if spec[-1] != "d":
        return format(as_text(value) or "", spec)
    try:
        return format(int(as_text(value) or ""), spec)
    except ValueError:
        message = f"`{name}` must be a whole number. Got {shown(value)} instead."
        raise RowError(name, "type", message, value=value) from None


def _translated(
    source: Cell, declared: dict[str, Any], where: str, translations: Mapping[str, Mapping[str, object]]
) -> Cell:
    table = declared["values"]
    if isinstance(table, str):
        if table not in translations:
            guess = nearest(table, translations)
            raise FieldMapError(f"{where}: there is no table [values.{table}].{guess}")
        table = translations[table]
    meanings = {str(name): meaning for name, meaning in table.items()}
    strict = "otherwise" not in declared
    otherwise = declared.get("otherwise")
    if otherwise is not None and isinstance(otherwise, dict | list):
        raise FieldMapError(f"{where}.otherwise must be a text or a number.")
    field = " ".join(source.columns) or where

    def read(record: Record) -> object:
        value = as_text(source.read(record))
        meaning = meanings.get(value or "")
        if meaning is not None:
            return meaning
        if not strict:
            return otherwise
        if value is None:
            return None
        message = f"`{field}` has the value {shown(value)}, which the map does not translate.{nearest(value, meanings)}"
        raise RowError(field, "choice", message, value=value)

    return Cell(source.columns, read)


def _typed(
    source: Cell, kind: Type, declared: dict[str, Any], where: str, times: TimeReading
) -> Callable[[Record], object]:
    field = " ".join(source.columns) or where
    read = source.read
    if kind is Type.TIME:
        if "zone" in declared or "format" in declared:
            named = zone(declared["zone"], f"{where}.zone") if "zone" in declared else times.zone
            times = TimeReading(named, declared.get("format", times.format))
        return lambda record: times.read(field, read(record))
    if kind in (Type.MONEY, Type.INTEGER):
        factor = Decimal(str(declared.get("multiply", 1)))
        return lambda record: _whole(field, read(record), factor, kind)
    if kind is Type.NUMBER:
        factor = Decimal(str(declared.get("multiply", 1)))
        return lambda record: _number(field, read(record), factor)
    if kind is Type.FLAG:
        return lambda record: _flag(field, read(record))
    if kind is Type.JSON:
        return read
    if len(source.columns) <= 1 and "values" not in declared:
        return _text_reader(read)
    return lambda record: as_text(read(record))


def _text_reader(read: Callable[[Record], object]) -> Callable[[Record], object]:
    def text(record: Record) -> object:
        value = read(record)
        return value if type(value) is str else as_text(value)

    return text


def _object(
    declared: dict[str, Any], where: str, times: TimeReading, translations: Mapping[str, Mapping[str, object]]
) -> Cell:
    inner = {
        name: compile_cell(cell, Type.JSON, f"{where}.{name}", times, translations) for name, cell in declared.items()
    }
    columns = tuple(dict.fromkeys(column for cell in inner.values() for column in cell.columns))

    def read(record: Record) -> object:
        said = {name: cell.read(record) for name, cell in inner.items()}
        return {name: value if _plain(value) else as_text(value) for name, value in said.items() if value is not None}

    return Cell(columns, read)


def _plain(value: object) -> bool:
    return isinstance(value, str | int | float | bool | dict | list)


def _decimal(field: str, value: object, kind: Type) -> Decimal:
    try:
        number = Decimal(value.strip() if isinstance(value, str) else str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if isinstance(value, bool) or not number.is_finite():
        code = "money" if kind is Type.MONEY else "type"
        message = f"`{field}` must be a number with a point before decimals. Got {shown(value)} instead."
        raise RowError(field, code, message, value=value)
    return number


def _whole(field: str, value: object, factor: Decimal, kind: Type) -> int | None:
    if value is None:
        return None
    number = _decimal(field, value, kind) * factor
    if abs(number) <= MAX_INTEGER and number == number.to_integral_value():
        return int(number)
    message = f"`{field}` times {factor} must be a whole number"
    message += " of minor units" if kind is Type.MONEY else ""
    code = "money" if kind is Type.MONEY else "type"
    raise RowError(field, code, f"{message}. Got {shown(value)} instead.", value=value)


def _number(field: str, value: object, factor: Decimal) -> float | None:
    return None if value is None else float(_decimal(field, value, Type.NUMBER) * factor)


def _flag(field: str, value: object) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    lowered = str(value).strip().lower()
    if lowered in _TRUE or lowered in _FALSE:
        return lowered in _TRUE
    raise RowError(field, "type", f"`{field}` must be true or false. Got {shown(value)} instead.", value=value)
