"""The vocabulary between a server and the program that owns it: who calls, what it answers, what it makes of us."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from sidestep.wire import envoy as pb
from sidestep.xds.resource import Resource


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A client, as known from the first request of its stream."""

    node: pb.Node
    address: str = ""
    """As grpc spells it: `ipv4:10.0.0.1:4711`, `unix:`."""
    properties: Mapping[str, Iterable[bytes]] = field(default_factory=dict)
    """Of the TLS session (`context.auth_context()`); empty without TLS."""

    @property
    def node_id(self) -> str:
        """What the client calls itself. Proves nothing: see `properties`."""
        return self.node.id

    def __repr__(self) -> str:
        """Envoy's node message fills pages."""
        return f"<peer {self.node_id!r} at {self.address}>"


class Answer(enum.Enum):
    """There is no resource to give."""

    ABSENT = "absent"
    """It does not exist: the client is told so."""
    PENDING = "pending"
    """It may come: stay silent until the cache has it, or until its removal from the cache is reported."""


Absent = Answer.ABSENT
Pending = Answer.PENDING


class OnDemand(Protocol):
    """Gives what the cache does not have. An exception counts as `Pending` and is logged."""

    async def resolve(self, type_url: str, name: str, node_id: str) -> Resource | Answer:
        """Called for each name that a client subscribes to and the cache lacks.

        A resource given back is put into the cache; keeping it current there is the caller's task from then on.
        """

    def released(self, type_url: str, name: str) -> None:
        """No stream subscribes to the name any more."""


class RefusedError(Exception):
    """Raised by `authorize`: this peer gets nothing (PERMISSION_DENIED), and the text says why."""


Authorize = Callable[[Peer], None]
"""Looks at the peer of a new stream; raises `RefusedError`."""

Visible = Callable[[Peer, Resource], bool]
"""Whether the peer may have the resource. What it may not have does not exist for it."""


@dataclass(frozen=True, kw_only=True)
class Ack:
    """A client took a response over."""

    peer: Peer
    type_url: str
    versions: Mapping[str, str]
    """By name, what it has now."""
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Nack:
    """A client refused a response, or some resources of it; it keeps the last good version of those."""

    peer: Peer
    type_url: str
    versions: Mapping[str, str]
    """By name: those that its message mentions or, if it mentions none, all of the response."""
    message: str
