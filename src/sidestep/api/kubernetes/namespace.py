"""Namespace (v1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from sidestep.api import validate
from sidestep.api.meta import Finding, Resource


class Namespace(Resource, frozen=True, kw_only=True):
    """Its labels and annotations are what a mesh reads of it."""

    KIND: ClassVar[str] = "Namespace"
    API_VERSION: ClassVar[str] = "v1"
    NAMESPACED: ClassVar[bool] = False

    def name_findings(self) -> Iterator[Finding]:
        yield from validate.label_name(self.name, ("metadata", "name"))
