"""Text → resources and problems. Any text is accepted; what is wrong with it becomes problems with their lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from sidestep.api.explain import explain
from sidestep.api.finding import Finding, Path, field_text
from sidestep.api.meta import Resource, ResourceKey
from sidestep.api.registry import KINDS, KindInfo, kinds
from sidestep.api.resources import Resources
from sidestep.api.validate import shown
from sidestep.api.yaml_text import Document, SyntaxFault, documents

__all__ = ["ParseResult", "Parsed", "Problem", "Resource", "Resources", "parse_documents"]


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Something in a file that is not as it should be. `str()` is the line to show."""

    file: str
    line: int
    """From 1; 0 if it is about the whole file."""
    field: str
    """Path within the document, e.g. `spec.ports[0].port`; empty if it is about all of it."""
    message: str
    key: ResourceKey | None = None
    """The resource, if its kind and name could be read."""
    severity: Literal["error", "ignored"] = "error"
    """`ignored`: a document that is right, as far as we can see, but none of ours."""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        field = f"{self.field}: " if self.field else ""
        return f"{place}: {field}{self.message}"


class Parsed(msgspec.Struct, frozen=True, kw_only=True):
    """A resource and where it came from."""

    resource: Resource
    file: str
    line: int
    document: Mapping[str, Any]
    """As written, with all fields, values of JSON types, nulls left out. Not to be changed."""


class ParseResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a text holds, in its order."""

    resources: tuple[Parsed, ...] = ()
    problems: tuple[Problem, ...] = ()


def parse_documents(text: str, *, file: str, default_namespace: str = "default") -> ParseResult:
    """Read the resources of a YAML or JSON text: many documents, and the items of any `List`.

    A resource with any problem of severity error is not among the resources. Never raises.
    """
    resources: list[Parsed] = []
    problems: list[Problem] = []
    reader = _Reader(file, default_namespace)
    for document in documents(text):
        if isinstance(document, SyntaxFault):
            problems.append(reader.problem(document.line, (), document.message, None))
            continue
        for path, value in _items(document.value, ()):
            outcome = reader.read(document, path, value)
            if isinstance(outcome, Parsed):
                resources.append(outcome)
            else:
                problems.extend(outcome)
    return ParseResult(resources=tuple(resources), problems=tuple(problems))


def _items(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """The document itself, or the items of a List; a List may hold Lists."""
    if isinstance(value, Mapping) and str(value.get("kind", "")).endswith("List") and type(value.get("items")) is list:
        for index, item in enumerate(value["items"]):
            yield from _items(item, (*path, "items", index))
    elif value is not None or path:
        yield path, value


class _Reader:
    """Reads the resources of one file."""

    def __init__(self, file: str, default_namespace: str) -> None:
        self._file = file
        self._default_namespace = default_namespace

    def problem(self, line: int, path: Path, message: str, key: ResourceKey | None) -> Problem:
        return Problem(file=self._file, line=line, field=field_text(path), message=message, key=key)

    def read(self, document: Document, path: Path, value: Any) -> Parsed | list[Problem]:
        """The resource at `path` of the document."""
        start = document.line_of_content(path)
        info = _kind_of(value)
        if isinstance(info, Finding):
            return [self._of_finding(document, path, info, None)]
        if info is None:
            return [self._ignored(start, value)]
        key = self._key(info, value)
        if faults := [fault for fault in document.faults if fault.path[: len(path)] == path]:
            return [self.problem(fault.line, fault.path[len(path) :], fault.message, key) for fault in faults]
        typed = self._typed(info, value)
        if isinstance(typed, Resource):
            return Parsed(resource=typed, file=self._file, line=start, document=value)
        return [self._of_finding(document, path, finding, key) for finding in typed]

    def _typed(self, info: KindInfo, value: Any) -> Resource | list[Finding]:
        try:
            resource = msgspec.convert(value, info.type, str_keys=True).in_namespace(self._default_namespace)
        except msgspec.ValidationError as error:
            return list(explain(value, info.type)) or [Finding((), str(error))]
        findings = list(resource.findings())
        return findings or resource

    def _key(self, info: KindInfo, value: Mapping[str, Any]) -> ResourceKey | None:
        metadata = value.get("metadata")
        name = metadata.get("name") if isinstance(metadata, Mapping) else None
        if not isinstance(metadata, Mapping) or not isinstance(name, str) or not name:
            return None
        given = metadata.get("namespace")
        namespace = given if isinstance(given, str) and given else self._default_namespace
        return ResourceKey(kind=info.kind, namespace=namespace if info.namespaced else "", name=name)

    def _of_finding(self, document: Document, path: Path, finding: Finding, key: ResourceKey | None) -> Problem:
        line = document.line_of((*path, *finding.path)) if finding.path else document.line_of_content(path)
        return self.problem(line, finding.path, finding.message, key)

    def _ignored(self, line: int, value: Mapping[str, Any]) -> Problem:
        known = ", ".join(info.kind for info in kinds())
        return Problem(
            file=self._file,
            line=line,
            field="kind",
            message=f"{shown(value['kind'])} of {shown(value['apiVersion'])} is ignored; the kinds here are {known}",
            severity="ignored",
        )


def _kind_of(value: Any) -> KindInfo | Finding | None:
    """The kind of a document, what is wrong with the document, or None for a kind that is none of ours."""
    if not isinstance(value, Mapping):
        return Finding((), f"expected a resource, which begins with apiVersion and kind, got {shown(value)}")
    api_version, kind = value.get("apiVersion"), value.get("kind")
    for field, given in (("apiVersion", api_version), ("kind", kind)):
        if given is None:
            return Finding((field,), "missing; every resource begins with apiVersion and kind")
        if not isinstance(given, str) or not given:
            return Finding((field,), f"expected text, got {shown(given)}")
    info = KINDS.get((str(api_version), str(kind)))
    if info is not None:
        return info
    group = str(api_version).rpartition("/")[0]
    for candidate in kinds():
        if (candidate.kind, candidate.group) == (kind, group):
            return Finding(
                ("apiVersion",), f"{shown(api_version)} is not read; write {' or '.join(candidate.api_versions)}"
            )
    return None
