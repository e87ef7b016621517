"""Resources for tests, from YAML."""

from __future__ import annotations

import msgspec
import yaml

from sidestep.api.registry import KINDS
from sidestep.api.resources import Resources
from sidestep.mesh.build import BuildResult, MeshSettings, build


def resources_of(text: str) -> Resources:
    """Every document has to be right."""
    found = []
    for document in yaml.safe_load_all(text):
        resource = msgspec.convert(document, KINDS[document["apiVersion"], document["kind"]].type)
        assert not list(resource.findings()), document
        found.append(resource.in_namespace("default"))
    return Resources.of(found)


def built(text: str, settings: MeshSettings = MeshSettings()) -> BuildResult:  # noqa: B008 - frozen
    """The mesh of `text`."""
    return build(resources_of(text), settings, {})
