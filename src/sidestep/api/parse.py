"""Text → resources and problems. Any text is accepted; what is wrong with it becomes problems with their lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from sidestep.api.meta import Resource, ResourceKey
from sidestep.api.resources import Resources

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
    raise NotImplementedError
