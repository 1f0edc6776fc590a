"""Results as frozen dataclasses, which are written as JSON and read from it field for field."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, Self, Union, get_args, get_origin, get_type_hints

#: Whole numbers up to it are exact wherever they go.
MOST_COUNT = 1 << 53
#: Beyond float32, squares and products leave what a float holds.
_LARGEST = 2.0**128
#: Lists and dictionaries inside one another, where a field takes anything.
_DEPTH = 8
#: What types are called.
_WORDS = {int: "a whole number", float: "a finite number", str: "a text", bool: "true or false"}


class _InWords(str):
    """What was found, as a message has it."""


class RecordError(ValueError):
    """Values that a record cannot take: where, what was expected, what was found."""

    def __init__(self, path: str, expected: str, found: object) -> None:
        shown = found if isinstance(found, _InWords) else _InWords("none" if found is None else repr(found))
        short = shown if len(shown) <= 40 else f"{shown[:40]}…"
        super().__init__(f"{path + ': ' if path else ''}expected {expected}, found {short}")


@dataclass(frozen=True)
class Within:
    """What numbers a field takes, as in `Annotated[int, Within(1, 9)]`."""

    least: float
    most: float = math.inf

    @property
    def words(self) -> str:
        """As it stands in messages."""
        return (
            f"at least {self.least:g}" if self.most == math.inf else f"from {self.least:g} to {self.most:g}"
        )


#: How many of something.
Count = Annotated[int, Within(0)]
#: How much of something.
Size = Annotated[float, Within(0)]
#: A part of a whole.
Share = Annotated[float, Within(0, 1)]


class Record:
    """The base of a frozen dataclass of JSON-able values and other records, in lists and dictionaries."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able values in the order of the fields, less those that are None by default."""
        values = {item.name: (item.default, getattr(self, item.name)) for item in fields(self)}
        return {
            name: _write(value)
            for name, (default, value) in values.items()
            if value is not None or default is MISSING
        }

    @classmethod
    def from_dict(cls, values: Any, path: str = "") -> Self:
        """The record that `to_dict` has written; what it does not know is left out.

        Args:
            values: from a file that anybody may have written.
            path: where they stand in it, for messages.

        Raises:
            RecordError: no mapping, a field that is missing, or one of another type, size or range.
        """
        read = cls.read_fields(values, path)
        needed = [
            item.name for item in fields(cls) if item.default is MISSING and item.default_factory is MISSING
        ]
        for name in needed:
            if name not in read:
                raise RecordError(_join(path, name), "a value", None)
        return cls(**read)

    @classmethod
    def read_fields(cls, values: Any, path: str = "") -> dict[str, Any]:
        """The values that the record knows, each checked against its field's type.

        Raises:
            RecordError: no mapping, or a field of another type, size or range.
        """
        types: dict[str, Any] = _types(cls)  # type: ignore[arg-type]
        if not isinstance(values, Mapping):
            raise RecordError(path, "names with values", values)
        return {
            name: _read(types[name], value, _join(path, name))
            for name, value in values.items()
            if name in types
        }


@cache
def _types(record: Any) -> dict[str, Any]:
    hints = get_type_hints(record, include_extras=True)
    return {item.name: hints[item.name] for item in fields(record)}


def _write(value: Any) -> Any:
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {key: _write(item) for key, item in value.items()}
    return [_write(item) for item in value] if isinstance(value, list | tuple) else value


def _join(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)


def _read(type_: Any, value: Any, path: str) -> Any:
    """A value as a type has it."""
    origin, inner = get_origin(type_), get_args(type_)
    if origin in (Union, UnionType):
        return _read_one_of(inner, value, path)
    if origin is Annotated:
        number, within = _read(inner[0], value, path), inner[1]
        if not within.least <= number <= within.most:
            raise RecordError(path, f"{_WORDS[inner[0]]}, {within.words}", value)
        return number
    if origin is Literal:
        if not isinstance(value, str) or value not in inner:
            raise RecordError(path, f"one of {', '.join(inner)}", value)
        return value
    if origin in (list, tuple):
        return _read_list(origin, inner, value, path)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise RecordError(path, "names with values", value)
        return {key: _read(inner[1], item, _join(path, key)) for key, item in value.items()}
    if isinstance(type_, type) and issubclass(type_, Record):
        return type_.from_dict(value, path)
    return _read_plain(type_, value, path)


def _read_one_of(types: tuple[Any, ...], value: Any, path: str) -> Any:
    if value is None and type(None) in types:
        return None
    others = [one for one in types if one is not type(None)]
    for other in others[:-1]:
        try:
            return _read(other, value, path)
        except RecordError:
            continue
    return _read(others[-1], value, path)


def _read_list(origin: Any, inner: tuple[Any, ...], value: Any, path: str) -> Any:
    if not isinstance(value, list | tuple):
        raise RecordError(path, "a list", value)
    if origin is tuple and inner[-1] is not Ellipsis:
        if len(value) != len(inner):
            raise RecordError(path, f"{len(inner)} values", value)
        return tuple(_read(one, item, path) for one, item in zip(inner, value, strict=True))
    return origin(_read(inner[0], item, f"{path}[{place}]") for place, item in enumerate(value))


def _read_plain(type_: Any, value: Any, path: str) -> Any:
    """A number, a text, a truth value, or any JSON value."""
    if type_ is Any:
        _check_any(value, path, _DEPTH)
        return value
    numbers = (int, float) if type_ is float else type_
    if not isinstance(value, numbers) or (isinstance(value, bool) and type_ is not bool):
        raise RecordError(path, _WORDS[type_], value)
    _check_number(value, path)
    return value


def _check_any(value: Any, path: str, depth: int) -> None:
    if depth == 0:
        raise RecordError(path, f"values at most {_DEPTH} deep", _InWords("deeper ones"))
    if isinstance(value, Mapping | list | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            _check_any(item, path, depth - 1)
    _check_number(value, path)


def _check_number(value: Any, path: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise RecordError(path, _WORDS[float], value)
    if isinstance(value, float) and abs(value) > _LARGEST:
        raise RecordError(path, "a number that float32 holds", value)
    if isinstance(value, int) and abs(value) > MOST_COUNT:
        raise RecordError(path, "a whole number of at most 2^53", _InWords("a larger one"))
