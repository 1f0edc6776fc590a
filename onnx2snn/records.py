"""Results as frozen dataclasses, which are written as JSON and read from it field for field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from functools import cache
from typing import Any, ClassVar, Self, get_args, get_type_hints


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
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The record that `to_dict` has written; what it does not know is left out."""
        types: dict[str, Any] = _types(cls)  # type: ignore[arg-type]
        return cls(**{name: _read(types[name], value) for name, value in values.items() if name in types})


@cache
def _types(record: Any) -> dict[str, Any]:
    hints = get_type_hints(record)
    return {item.name: hints[item.name] for item in fields(record)}


def _write(value: Any) -> Any:
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {key: _write(item) for key, item in value.items()}
    return [_write(item) for item in value] if isinstance(value, list | tuple) else value


def _read(type_: Any, value: Any) -> Any:
    inner = [argument for argument in get_args(type_) if argument is not type(None)]
    if type(None) in get_args(type_):  # of an optional field what it is where it is there
        return value if value is None else _read(inner[0], value)
    if isinstance(value, Mapping) and isinstance(type_, type) and issubclass(type_, Record):
        return type_.from_dict(value)
    if isinstance(value, Mapping) and inner:
        return {key: _read(inner[-1], item) for key, item in value.items()}
    return [_read(inner[-1], item) for item in value] if isinstance(value, list) and inner else value
