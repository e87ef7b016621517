"""Resources for tests, from YAML."""

from __future__ import annotations

from sidestep.api.parse import parse_documents
from sidestep.api.resources import Resources
from sidestep.mesh.build import BuildResult, MeshSettings, build


def resources_of(text: str) -> Resources:
    """Every document has to be right."""
    result = parse_documents(text, file="test.yaml")
    assert not result.problems, [str(problem) for problem in result.problems]
    return Resources.of(parsed.resource for parsed in result.resources)


def built(text: str, settings: MeshSettings = MeshSettings()) -> BuildResult:  # noqa: B008 - frozen
    """The mesh of `text`."""
    return build(resources_of(text), settings, {})
