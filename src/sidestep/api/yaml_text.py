"""YAML text → documents of plain values, with the line of every field, and with faults instead of exceptions.

Documents are read one by one, so that a syntax error in one leaves those behind it readable. Nesting and expanded
aliases are bounded: deep nesting would overflow the C stack of libyaml's binding, and a few aliases of aliases can
stand for billions of values.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from sidestep.api.finding import Path
from sidestep.api.scalars import ScalarError, plain

_MARKER = re.compile(r"^(---|\.\.\.)(?=\s|\Z)", re.MULTILINE)
_NO_CONTENT = re.compile(r"(?:[ \t]*(?:#.*)?(?:\r?\n|\Z)|%.*(?:\r?\n|\Z)|\.\.\.[^\n]*(?:\n|\Z))*")
_PREFIX = "tag:yaml.org,2002:"
_PLAIN, _QUOTED = "plain", "quoted"
_RESOLVED_TAGS = frozenset(f"{_PREFIX}{name}" for name in ("int", "float", "bool", "null"))
_MAXIMUM_DEPTH = 64
_MAXIMUM_VALUES = 500_000
_JSON_START = re.compile(r"(---)?\s*[{\[]")
_SURROGATE_PAIR = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")


class Fault(NamedTuple):
    """Something in a document that has no meaning here."""

    path: Path
    message: str
    line: int


class Document(NamedTuple):
    """One document. With faults, `value` holds what could be read."""

    value: Any
    line: int
    faults: tuple[Fault, ...]
    node: yaml.Node
    offset: int

    def line_of(self, path: Path) -> int:
        """The line (from 1) of a field, or of the innermost part of the path that exists."""
        node, line = self.node, self.line
        for part in path:
            found = _entry(node, part)
            if found is None:
                break
            mark, node = found
            line = mark + self.offset + 1
        return line

    def line_of_content(self, path: Path) -> int:
        """The line on which the value at `path` begins."""
        node = self.node
        for part in path:
            found = _entry(node, part)
            if found is None:
                return self.line_of(path)
            node = found[1]
        return int(node.start_mark.line) + self.offset + 1


class SyntaxFault(NamedTuple):
    """A document that is no YAML."""

    line: int
    message: str


def documents(text: str) -> Iterator[Document | SyntaxFault]:
    """Every document that is not empty, in order."""
    for offset, part in _split(text.removeprefix("\ufeff")):
        if not _NO_CONTENT.fullmatch(part):
            yield from _read(part, offset)


def _split(text: str) -> Iterator[tuple[int, str]]:
    """(first line, text) of each document: a marker in the first column cannot stand inside of anything."""
    starts = [0, *(match.start() for match in _MARKER.finditer(text)), len(text)]
    offset = 0
    for start, end in itertools.pairwise(starts):
        part = text[start:end]
        yield offset, part
        offset += part.count("\n")


def _read(part: str, offset: int) -> Iterator[Document | SyntaxFault]:
    try:
        loader = _Loader(_without_surrogates(part))
        try:
            while loader.check_node() and (node := loader.get_node()) is not None:
                conversion = _Conversion(offset)
                value = conversion.convert(node, ())
                line = node.start_mark.line + offset + 1
                if value is not None or conversion.faults:
                    yield Document(value, line, tuple(conversion.faults), node, offset)
        finally:
            loader.dispose()
    except _LimitError as error:
        yield SyntaxFault(offset + error.line + 1, str(error))
    except yaml.YAMLError as error:
        yield _syntax_fault(error, part, offset)
    except UnicodeEncodeError as error:
        line = offset + part.count("\n", 0, error.start) + 1
        yield SyntaxFault(line, "half of a surrogate pair is no character; write the character itself")


def _without_surrogates(part: str) -> str:
    """JSON may escape a character as a surrogate pair, which YAML does not know."""
    if not _JSON_START.match(part):
        return part
    return _SURROGATE_PAIR.sub(_joined, part)


def _joined(pair: re.Match[str]) -> str:
    high, low = int(pair[2], 16), int(pair[3], 16)
    return pair[1] + chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))


def _syntax_fault(error: yaml.YAMLError, part: str, offset: int) -> SyntaxFault:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        line = min(mark.line, part.rstrip().count("\n")) if mark is not None else 0
        text = ", ".join(str(reason) for reason in (error.context, error.problem) if reason)
        if "'\\t'" in text or _indented_with_tab(part, line):
            text += "; indent with spaces, not with tabs"
        return SyntaxFault(offset + line + 1, f"not YAML: {text}")
    if isinstance(error, yaml.reader.ReaderError):
        before = part.encode()[: error.position]
        return SyntaxFault(offset + before.count(b"\n") + 1, f"not YAML: {error.reason}; take the character out")
    return SyntaxFault(offset + 1, f"not YAML: {error}")


def _indented_with_tab(part: str, line: int) -> bool:
    lines = part.split("\n")
    return line < len(lines) and lines[line].lstrip(" ").startswith("\t")


def _entry(node: yaml.Node | None, part: str | int) -> tuple[int, yaml.Node] | None:
    """The line and the value of an entry of a mapping or list."""
    if isinstance(node, yaml.MappingNode) and isinstance(part, str):
        for key, value in node.value:
            if key.value == part:
                return key.start_mark.line, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        item = node.value[part]
        return item.start_mark.line, item
    return None


class _LimitError(Exception):
    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


class _Loader(yaml.CSafeLoader):
    """Composes nodes, bounds their depth, and leaves scalars to `plain`."""

    _depth = 0

    def descend_resolver(self, current_node: yaml.Node | None, current_index: Any) -> None:  # noqa: ARG002
        self._depth += 1
        if self._depth > _MAXIMUM_DEPTH:
            line = 0 if current_node is None else current_node.start_mark.line
            raise _LimitError(f"nested more than {_MAXIMUM_DEPTH} levels deep; no resource needs that", line)

    def ascend_resolver(self) -> None:
        self._depth -= 1

    def resolve(self, kind: type[yaml.Node], value: str | None, implicit: Any) -> str:  # noqa: ARG002
        return _PLAIN if kind is yaml.ScalarNode and implicit[0] else _QUOTED


class _Conversion:
    """One document's nodes → values. Faults are collected, limits raise."""

    def __init__(self, offset: int) -> None:
        self.faults: list[Fault] = []
        self._offset = offset
        self._values = 0

    def convert(self, node: yaml.Node, path: Path) -> Any:
        self._values += 1
        if self._values > _MAXIMUM_VALUES or len(path) > _MAXIMUM_DEPTH:
            raise _LimitError("too large once its aliases (*name) are written out", node.start_mark.line)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if node.tag not in (_QUOTED, f"{_PREFIX}map", f"{_PREFIX}seq"):
            self._fault(node, path, f"the tag {node.tag!r} means nothing here; leave it out")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        return [self.convert(item, (*path, index)) for index, item in enumerate(node.value)]

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        text: str = node.value
        if "\0" in text:
            self._fault(node, path, "contains a NUL character; take it out")
        if node.tag in (_QUOTED, f"{_PREFIX}str"):
            return text
        if node.tag == _PLAIN or node.tag in _RESOLVED_TAGS:
            try:
                return plain(text)
            except ScalarError as error:
                self._fault(node, path, str(error))
                return text
        self._fault(node, path, f"the tag {node.tag!r} means nothing here; leave it out")
        return text

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        """Entries with null are left out, as Kubernetes' API treats them."""
        values: dict[str, Any] = {}
        seen: set[str] = set()
        merged: list[yaml.Node] = []
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._fault(key, path, "a key must be text; this one is a list or a mapping")
            elif key.value == "<<" and key.tag == _PLAIN:
                merged.append(value)
            elif key.value in seen:
                self._fault(key, (*path, key.value), "given twice in one mapping; leave out one of the two")
            else:
                seen.add(key.value)
                converted = self.convert(value, (*path, key.value))
                if converted is not None:
                    values[key.value] = converted
        for source in merged:
            self._merge(source, values, seen, path)
        return values

    def _merge(self, source: yaml.Node, values: dict[str, Any], seen: set[str], path: Path) -> None:
        """`<<: *defaults`: entries that the mapping does not have itself, the first source first."""
        found = self.convert(source, (*path, "<<"))
        for each in found if isinstance(found, list) else [found]:
            if isinstance(each, dict):
                for key, value in each.items():
                    if key not in seen:
                        values.setdefault(key, value)
            else:
                self._fault(source, (*path, "<<"), "only a mapping, or a list of mappings, can be merged with <<")

    def _fault(self, node: yaml.Node, path: Path, message: str) -> None:
        self.faults.append(Fault(path, message, int(node.start_mark.line) + self._offset + 1))
