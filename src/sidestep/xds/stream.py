"""One delta xDS stream, as a server sees it: requests and cache changes go in, encoded responses come out. No I/O."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sidestep.wire import envoy as pb
from sidestep.xds.cache import Cache, Change
from sidestep.xds.delta import Delta
from sidestep.xds.peer import Ack, Answer, Nack, Peer
from sidestep.xds.resource import Resource
from sidestep.xds.subscriptions import Subscriptions

CHUNK_BYTES = 2 * 1024 * 1024 - 64 * 1024
"""A response is kept below this if its resources allow: grpc refuses messages of more than 4 MiB unless told."""
PARTIAL = "partial"
"""`system_version_info` of a response that another one completes; the field is free for such use."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What is the same for all streams of a server."""

    visible: Callable[[Peer, Resource], bool]
    asks: bool = False
    order: Sequence[str] = ()
    companions: Mapping[str, str] = field(default_factory=dict)


@dataclass(kw_only=True, slots=True)
class Received:
    """What a request meant."""

    outcome: Ack | Nack | None = None
    type_url: str = ""
    subscribed: frozenset[str] = frozenset()
    """Names new to this stream."""
    released: frozenset[str] = frozenset()
    """Names that this stream no longer has."""


@dataclass(kw_only=True, slots=True)
class Flush:
    """What is to be done now."""

    responses: list[bytes] = field(default_factory=list)
    asks: list[tuple[str, str]] = field(default_factory=list)
    """Type URLs and names to ask the on-demand source for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sent:
    """A response that the client has not answered."""

    type_url: str
    versions: Mapping[str, str]
    removed: tuple[str, ...]


class Stream:
    """State machine of one stream."""

    def __init__(self, cache: Cache, peer: Peer, rules: Rules) -> None:
        self._cache = cache
        self.peer = peer
        self._rules = rules
        self._types: dict[str, Subscriptions] = {}
        self._sent: dict[str, _Sent] = {}
        self._nonces = itertools.count(1)

    @property
    def names(self) -> frozenset[tuple[str, str]]:
        """All (type URL, name) subscribed to, without wildcards."""
        return frozenset((type_url, name) for type_url, kept in self._types.items() for name in kept.names)

    def wants(self, type_url: str, name: str) -> bool:
        """Whether the name is subscribed to."""
        kept = self._types.get(type_url)
        return kept is not None and name in kept.names

    # --- what goes in --------------------------------------------------------------------------------------------

    def receive(self, request: pb.DeltaDiscoveryRequest) -> Received:
        """A request: names, or the answer to a response, or both."""
        type_url = request.type_url
        kept = self._types.get(type_url)
        if kept is None:
            kept = self._types[type_url] = Subscriptions(self._cache, type_url, self._visible, asks=self._rules.asks)
        before = kept.names
        kept.request(
            request.resource_names_subscribe, request.resource_names_unsubscribe, request.initial_resource_versions
        )
        return Received(
            outcome=self._outcome(request),
            type_url=type_url,
            subscribed=kept.names - before,
            released=before - kept.names,
        )

    def changed(self, change: Change) -> bool:
        """The cache has changed; gives whether `take` may have something to say."""
        kept = self._types.get(change.type_url)
        return kept is not None and kept.changed(change)

    def answered(self, type_url: str, name: str, answer: Answer | Resource) -> None:
        """The on-demand source has answered; a resource has been put into the cache already."""
        self._types[type_url].answered(name, answer)

    # --- what comes out ------------------------------------------------------------------------------------------

    def take(self) -> Flush:
        """All that is to be done now; call again until there is nothing."""
        flush = Flush()
        for type_url in sorted(self._types, key=self._rank):
            delta = self._types[type_url].take()
            flush.asks += [(type_url, name) for name in delta.asks]
            if delta.is_due:
                flush.responses += self._encode(type_url, delta)
            companion = self._types.get(self._rules.companions.get(type_url, ""))
            if companion is not None:
                for name in delta.replaced:
                    companion.force(name)
        return flush

    def _rank(self, type_url: str) -> int:
        order = self._rules.order
        return order.index(type_url) if type_url in order else len(order)

    def _visible(self, resource: Resource) -> bool:
        return self._rules.visible(self.peer, resource)

    def _outcome(self, request: pb.DeltaDiscoveryRequest) -> Ack | Nack | None:
        sent = self._sent.pop(request.response_nonce, None)
        if sent is None:
            return None
        if not request.HasField("error_detail"):
            return Ack(peer=self.peer, type_url=sent.type_url, versions=sent.versions, removed=sent.removed)
        message = request.error_detail.message
        # Envoy names the resources that it refuses in its text, and takes the others.
        named = {name: version for name, version in sent.versions.items() if _mentions(message, name)}
        return Nack(peer=self.peer, type_url=sent.type_url, versions=named or sent.versions, message=message)

    def _encode(self, type_url: str, delta: Delta) -> Iterator[bytes]:
        chunks = list(_chunks(delta.resources.values())) or [[]]
        for index, chunk in enumerate(chunks):
            # Removals come last: what replaces them is there by then.
            is_last = index == len(chunks) - 1
            removed = tuple(sorted(delta.removed)) if is_last else ()
            nonce = str(next(self._nonces))
            self._sent[nonce] = _Sent(
                type_url=type_url, versions={each.name: each.version for each in chunk}, removed=removed
            )
            frame = pb.DeltaDiscoveryResponse(
                type_url=type_url,
                nonce=nonce,
                removed_resources=removed,
                system_version_info="" if is_last else PARTIAL,
            )
            # Encoded messages of one type, put together, are their merge.
            yield b"".join((frame.SerializeToString(), *(each.entry for each in chunk)))


def _mentions(message: str, name: str) -> bool:
    # As a word: a listener `in` is not meant by "adding".
    return name in message and re.search(rf"(?<![\w/-]){re.escape(name)}(?![\w/-])", message) is not None


def _chunks(resources: Iterable[Resource]) -> Iterator[list[Resource]]:
    chunk: list[Resource] = []
    size = 0
    for resource in resources:
        if chunk and size + len(resource.entry) > CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(resource)
        size += len(resource.entry)
    if chunk:
        yield chunk
