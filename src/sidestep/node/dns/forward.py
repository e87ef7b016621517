"""Queries about names outside the mesh go to the pod's own resolvers, from the pod's own network namespace.

Messages pass unchanged, EDNS and all, except for their identifier: each forwarded query has a random one and a port
of its own, so that nobody can guess his way into an answer (RFC 5452).
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from collections.abc import Iterator, Sequence

import dns.rcode
import msgspec

from sidestep.node.dns.answerer import Transport
from sidestep.node.dns.framing import receive_message, send_message
from sidestep.node.dns.sockets import Location, family_of

_HEADER_BYTES = 12
_REMEMBER_FAILURE_SECONDS = 30.0
_STOCK = 16
"""Entering a namespace costs a quarter of a millisecond, so so many sockets are opened at a time."""
_UNHELPFUL = {dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NOTIMP}


class NoResolverError(Exception):
    """No resolver answered; the message says what each of them did."""


class Resolver(msgspec.Struct, frozen=True):
    """A name server."""

    address: str
    port: int = 53

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait. A client waits 5 seconds by default, and has to hear of a failure before it gives up."""

    attempt_seconds: float = 1.5
    total_seconds: float = 4.5
    rounds: int = 2


class Forwarder:
    """Asks resolvers in their order; one that failed lately comes last."""

    def __init__(self, resolvers: Sequence[Resolver], location: Location, limits: Limits | None = None) -> None:
        self._resolvers = tuple(resolvers)
        self._location = location
        self._limits = limits or Limits()
        self._failed_at: dict[Resolver, float] = {}
        self._stock = _Stock(location)

    async def forward(self, query: bytes, transport: Transport) -> bytes:
        """The answer of the first resolver that has one; NoResolverError when none does in time.

        `query` is well-formed, with one question. A truncated answer is handed on as it is: the client asks again
        over TCP, and so do we then.
        """
        unhelpful: bytes | None = None
        failures: list[str] = []
        try:
            async with asyncio.timeout(self._limits.total_seconds):
                for resolver, via in self._attempts(transport):
                    try:
                        answer = await self._attempt(resolver, query, via)
                    except (OSError, TimeoutError) as error:
                        self._failed_at[resolver] = time.monotonic()
                        failures.append(f"{resolver}: {str(error) or 'no answer'}")
                        continue
                    self._failed_at.pop(resolver, None)
                    if answer[3] & 0xF not in _UNHELPFUL:
                        return answer
                    unhelpful = answer
                    failures.append(f"{resolver}: {dns.rcode.to_text(dns.rcode.Rcode(answer[3] & 0xF))}")
        except TimeoutError:
            failures.append(f"gave up after {self._limits.total_seconds:g} s")
        if unhelpful is not None:
            return unhelpful
        raise NoResolverError("; ".join(failures) or "no resolver is known")

    def close(self) -> None:
        """Closes the sockets that wait for use."""
        self._stock.close()

    def _attempts(self, transport: Transport) -> Iterator[tuple[Resolver, Transport]]:
        deadline = time.monotonic() - _REMEMBER_FAILURE_SECONDS
        ranked = sorted(self._resolvers, key=lambda resolver: self._failed_at.get(resolver, deadline) > deadline)
        for number in range(self._limits.rounds):
            # A resolver that does not speak TCP is still worth a question over UDP.
            via = transport if number == 0 else Transport.UDP
            yield from ((resolver, via) for resolver in ranked)

    async def _attempt(self, resolver: Resolver, query: bytes, via: Transport) -> bytes:
        sent = secrets.token_bytes(2) + query[2:]
        async with asyncio.timeout(self._limits.attempt_seconds):
            ask = self._ask_stream if via is Transport.TCP else self._ask_datagram
            answer = await ask(resolver, sent)
        return query[:2] + answer[2:]

    async def _ask_datagram(self, resolver: Resolver, sent: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        with await self._stock.take(family_of(resolver.address)) as datagrams:
            datagrams.connect((resolver.address, resolver.port))
            await loop.sock_sendall(datagrams, sent)
            while True:
                answer = await loop.sock_recv(datagrams, 65535)
                if is_answer(answer, sent):
                    return answer

    async def _ask_stream(self, resolver: Resolver, sent: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        location, family = self._location, family_of(resolver.address)
        [opened] = await location.run(lambda: [location.open(family, socket.SOCK_STREAM)])
        with opened as stream:
            await loop.sock_connect(stream, (resolver.address, resolver.port))
            await send_message(stream, sent)
            answer = await receive_message(stream)
        if answer is None or not is_answer(answer, sent):
            raise ConnectionError("closed the connection without an answer")
        return answer


class _Stock:
    """Unused UDP sockets, by family. Each is used once: its port is fresh."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._sockets: dict[socket.AddressFamily, list[socket.socket]] = {}

    async def take(self, family: socket.AddressFamily) -> socket.socket:
        """One that is the caller's to close."""
        sockets = self._sockets.setdefault(family, [])
        if not sockets:
            location = self._location
            opened = await location.run(lambda: [location.open(family, socket.SOCK_DGRAM) for _ in range(_STOCK)])
            sockets.extend(opened)
        return sockets.pop()

    def close(self) -> None:
        for sockets in self._sockets.values():
            for unused in sockets:
                unused.close()
        self._sockets.clear()


def is_answer(answer: bytes, query: bytes) -> bool:
    """Whether `answer` is a response to `query`: same identifier, same question (a failure may repeat none)."""
    if len(answer) < _HEADER_BYTES or answer[:2] != query[:2] or not answer[2] & 0x80:
        return False
    if answer[4:6] == b"\0\0":
        return answer[3] & 0xF != 0
    question = query[_HEADER_BYTES : _question_end(query)]
    return answer[4:6] == b"\0\1" and answer[_HEADER_BYTES:].lower().startswith(question.lower())


def _question_end(query: bytes) -> int:
    """Where the first question ends: its labels, the root, type and class."""
    position = _HEADER_BYTES
    while position < len(query) and query[position]:
        position += 1 + query[position]
    return position + 5
