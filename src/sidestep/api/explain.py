"""Why a document does not fit a type: every mismatch with its path, in words that say the mend.

Runs only after msgspec refused the document: msgspec is fast, but tells the first mismatch alone and not its key.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import inspect

from sidestep.api.finding import Finding, Path
from sidestep.api.meta import Timestamp
from sidestep.api.validate import shown


def explain(value: Any, wanted: type[msgspec.Struct]) -> tuple[Finding, ...]:
    """All mismatches between plain values and a type."""
    return tuple(_mismatches(value, _type_info(wanted), ()))


@lru_cache(maxsize=64)
def _type_info(wanted: type[msgspec.Struct]) -> inspect.Type:
    return inspect.type_info(wanted)


def _mismatches(value: Any, wanted: inspect.Type, path: Path) -> Iterator[Finding]:
    if isinstance(wanted, inspect.Metadata):
        wanted = wanted.type
    if isinstance(wanted, inspect.UnionType):
        yield from _of_union(value, wanted, path)
    elif isinstance(wanted, inspect.StructType) and isinstance(value, Mapping):
        yield from _of_struct(value, wanted, path)
    elif isinstance(wanted, inspect.DictType) and isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(wanted.key_type, inspect.IntType) and not key.removeprefix("-").isdecimal():
                yield Finding((*path, key), f"expected a whole number as key, got {shown(key)}")
            yield from _mismatches(item, wanted.value_type, (*path, key))
    elif isinstance(wanted, inspect.VarTupleType) and isinstance(value, Sequence) and not isinstance(value, str):
        for index, item in enumerate(value):
            yield from _mismatches(item, wanted.item_type, (*path, index))
    elif not _fits(value, wanted):
        yield Finding(path, f"expected {_words(wanted)}, got {_got(value)}{_mend(value, wanted)}")


def _of_union(value: Any, wanted: inspect.UnionType, path: Path) -> Iterator[Finding]:
    """A union matches if a member does; the only structured member explains the rest."""
    members = [member for member in wanted.types if not isinstance(member, inspect.NoneType)]
    if len(members) == 1:
        yield from _mismatches(value, members[0], path)
    elif all(any(True for _ in _mismatches(value, member, path)) for member in members):
        words = " or ".join(_words(member) for member in members)
        yield Finding(path, f"expected {words}, got {_got(value)}{_mend(value, members[0])}")


def _of_struct(value: Mapping[str, Any], wanted: inspect.StructType, path: Path) -> Iterator[Finding]:
    fields = {field.encode_name: field for field in wanted.fields}
    for name, item in value.items():
        if name in fields:
            yield from _mismatches(item, fields[name].type, (*path, name))
        elif wanted.forbid_unknown_fields:
            close = difflib.get_close_matches(name, fields, n=1)
            mend = f"did you mean {close[0]!r}?" if close else f"the fields here are {', '.join(sorted(fields))}"
            yield Finding((*path, name), f"there is no such field; {mend}")
    for name, field in fields.items():
        if field.required and name not in value:
            yield Finding((*path, name), f"missing; expected {_words(field.type)}")


def _fits(value: Any, wanted: inspect.Type) -> bool:
    if isinstance(wanted, inspect.IntType):
        return type(value) is int and _in_range(value, wanted)
    if isinstance(wanted, inspect.LiteralType):
        return isinstance(value, str) and value in wanted.values
    if isinstance(wanted, inspect.DateTimeType):
        return _is_time(value)
    return isinstance(value, _PLAIN_TYPES.get(type(wanted), ()))


def _is_time(value: Any) -> bool:
    try:
        msgspec.convert(value, Timestamp)
    except msgspec.ValidationError:
        return False
    return True


def _in_range(value: int, wanted: inspect.IntType) -> bool:
    return (wanted.ge is None or value >= wanted.ge) and (wanted.le is None or value <= wanted.le)


def _words(wanted: inspect.Type) -> str:
    if isinstance(wanted, inspect.Metadata):
        return _words(wanted.type)
    if isinstance(wanted, inspect.UnionType):
        return " or ".join(_words(member) for member in wanted.types if not isinstance(member, inspect.NoneType))
    if isinstance(wanted, inspect.IntType) and wanted.ge is not None and wanted.le is not None:
        return f"an integer from {wanted.ge} to {wanted.le}"
    if isinstance(wanted, inspect.LiteralType):
        return f"one of {', '.join(str(value) for value in wanted.values)}"
    return _WORDS.get(type(wanted), "another value")


_PLAIN_TYPES: Mapping[type[inspect.Type], type] = {inspect.StrType: str, inspect.BoolType: bool}
_WORDS: Mapping[type[inspect.Type], str] = {
    inspect.IntType: "an integer",
    inspect.StrType: "text",
    inspect.BoolType: "true or false",
    inspect.DateTimeType: "a time such as 2026-01-31T12:00:00Z",
    inspect.StructType: "a mapping",
    inspect.DictType: "a mapping",
    inspect.VarTupleType: "a list",
}


def _got(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    return shown(value)


def _mend(value: Any, wanted: inspect.Type) -> str:
    scalar = not isinstance(value, Mapping | list)
    if isinstance(wanted, inspect.StrType) and scalar:
        return "; put it in quotes"
    if isinstance(wanted, inspect.VarTupleType):
        return "; begin each item with '- '"
    if isinstance(wanted, inspect.IntType) and isinstance(value, str) and value.removeprefix("-").isdecimal():
        return "; leave out the quotes"
    if isinstance(wanted, inspect.BoolType) and value in ("true", "false"):
        return "; leave out the quotes"
    if isinstance(wanted, inspect.LiteralType) and isinstance(value, str):
        choices = [str(choice) for choice in wanted.values]
        close = difflib.get_close_matches(value.lower(), [choice.lower() for choice in choices], n=1)
        if close:
            return f"; did you mean {next(choice for choice in choices if choice.lower() == close[0])}?"
    return ""
