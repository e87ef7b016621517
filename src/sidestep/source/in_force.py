"""Which version of each resource is in force: the one in the files, or the last good one. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from sidestep.api.meta import ResourceKey
from sidestep.api.parse import Parsed, Problem
from sidestep.source.files import FileContent


class InForce(msgspec.Struct, frozen=True, kw_only=True):
    """The resources that hold, each with the file and line it came from, and all that is wrong."""

    resources: Mapping[ResourceKey, Parsed] = {}
    problems: tuple[Problem, ...] = ()


def advance(previous: InForce, contents: Sequence[FileContent]) -> InForce:
    """The next state.

    A resource that is bad now stays as it was. If a file, or a document in it, says not even which resource it is, then
    everything that came from that file and is not elsewhere stays. Of one key in several places the first place wins.
    """
    found: dict[ResourceKey, Parsed] = {}
    problems: list[Problem] = []
    for content in contents:
        problems += content.problems
        for parsed in content.resources:
            first = found.setdefault(parsed.resource.key, parsed)
            if first is not parsed:
                problems.append(_duplicate(parsed, first))
    bad = {problem.key for problem in problems if problem.severity == "error" and problem.key is not None}
    unclear = tuple(content.file for content in contents if _is_unclear(content))
    kept = {
        key: parsed
        for key, parsed in previous.resources.items()
        if key not in found and (key in bad or _came_from(parsed.file, unclear))
    }
    return InForce(resources=found | kept, problems=tuple(problems))


def _is_unclear(content: FileContent) -> bool:
    return not content.readable or any(p.severity == "error" and p.key is None for p in content.problems)


def _came_from(file: str, unclear: tuple[str, ...]) -> bool:
    return any(file == place or (place.endswith("/") and file.startswith(place)) for place in unclear)


def _duplicate(parsed: Parsed, first: Parsed) -> Problem:
    return Problem(
        file=parsed.file,
        line=parsed.line,
        field="metadata.name",
        message=f"{parsed.resource.key} is defined in {first.file}:{first.line}, which is in force; take one out",
        key=parsed.resource.key,
    )
