"""From the bytes of a query to those of its answer, as far as the mesh knows it. No I/O.

Building a message costs more than a hundred microseconds, and pods ask the same few questions over and over: answers
are remembered by the bytes of the question until the mesh changes.
"""

from __future__ import annotations

import enum
import random

import dns.rcode
import msgspec

from sidestep.node.dns.directory import Directory
from sidestep.node.dns.message import (
    LARGEST_TCP,
    Query,
    UnreadableQueryError,
    failure,
    read_query,
    respond,
)
from sidestep.node.dns.resolve import Client, resolve

_MOST_REMEMBERED = 4096
_LONGEST_REMEMBERED = 300
_LARGEST_REMEMBERED = 2048
"""Bytes of a query and of an answer; more of either is unusual, and clients choose how much there is to keep."""
_ORDERS = 8
"""Addresses come in random order: so many orders of one answer are remembered."""


class Verdict(enum.Enum):
    """What to do with a query that has no answer here."""

    FORWARD = "forward"
    DROP = "drop"


class Transport(enum.Enum):
    """How a query came."""

    UDP = "udp"
    TCP = "tcp"


class _Remembered(msgspec.Struct, frozen=True):
    """Answers without their first two bytes, the identifier; none: forward."""

    bodies: list[bytes]
    wanted: int


class Answerer:
    """Answers queries from a directory."""

    def __init__(
        self,
        directory: Directory,
        *,
        domain: str = "cluster.local",
    ) -> None:
        self._directory = directory
        self._domain = domain
        self._remembered: dict[tuple[Client, Transport, bytes], _Remembered] = {}
        self._generation = directory.generation

    def answer(self, wire: bytes, client: Client, transport: Transport) -> bytes | Verdict:
        """The response, or what else to do with the query. Never raises for anything that `wire` may hold."""
        if self._generation != self._directory.generation or len(self._remembered) > _MOST_REMEMBERED:
            self._remembered.clear()
            self._generation = self._directory.generation
        key = (client, transport, wire[2:])
        known = self._remembered.get(key)
        if known is not None and len(known.bodies) >= known.wanted:
            return wire[:2] + random.choice(known.bodies) if known.bodies else Verdict.FORWARD  # noqa: S311 - no secret
        try:
            query = read_query(wire)
        except UnreadableQueryError as error:
            return Verdict.DROP if error.response is None else error.response
        response, orders = self._respond(query, client, transport)
        size = 0 if isinstance(response, Verdict) else len(response)
        if len(wire) <= _LONGEST_REMEMBERED and size <= _LARGEST_REMEMBERED:
            bodies = [] if known is None else known.bodies
            if not isinstance(response, Verdict):
                bodies.append(response[2:])
            self._remembered[key] = _Remembered(bodies, orders)
        return response

    def failure(self, wire: bytes) -> bytes | Verdict:
        """SERVFAIL, for a query that no resolver answered."""
        try:
            return failure(read_query(wire), dns.rcode.SERVFAIL)
        except UnreadableQueryError as error:
            return Verdict.DROP if error.response is None else error.response

    def _respond(self, query: Query, client: Client, transport: Transport) -> tuple[bytes | Verdict, int]:
        """The response, and how many orders of it are worth remembering."""
        if query.message.edns > 0:
            return failure(query, dns.rcode.BADVERS), 1
        if not query.is_internet:
            return Verdict.FORWARD, 0
        answer = resolve(self._directory, query.name, query.families, client, self._domain)
        if answer is None:
            return Verdict.FORWARD, 0
        limit = LARGEST_TCP if transport is Transport.TCP else query.largest_udp
        return respond(query, answer, self._domain, limit), _ORDERS if len(answer.addresses) > 1 else 1
