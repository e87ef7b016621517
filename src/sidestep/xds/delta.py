"""What a stream has to be told next, and how far the answer to each of its names is."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from sidestep.xds.resource import Resource

WILDCARD = "*"
"""The name that stands for all resources of a type."""


class State(enum.Enum):
    """How far the answer to a name is."""

    UNASKED = "the cache has not been looked at"
    ASKING = "the on-demand source has been asked"
    PENDING = "the on-demand source expects it"
    ABSENT = "it does not exist, which the client has not been told"
    SETTLED = "the client has been answered"


@dataclass(kw_only=True, slots=True)
class Delta:
    """What to send, and what to ask the on-demand source."""

    resources: dict[str, Resource] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    replaced: set[str] = field(default_factory=set)
    """Those of `resources` of which the client held another version."""
    asks: list[str] = field(default_factory=list)
    empty_answer: bool = False
    """An answer is due even when there is nothing to say."""

    @property
    def is_due(self) -> bool:
        """Whether a response has to be sent."""
        return bool(self.resources or self.removed or self.empty_answer)
