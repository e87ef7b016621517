"""The delta xDS client over grpc.aio: follows a server, for ever. What it says is decided in `following`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

import grpc.aio

from sidestep.wire import envoy as pb
from sidestep.xds.resource import Resource

WILDCARD = "*"


class InvalidResource(Exception):  # noqa: N818 - says what the resource is
    """Raised by a handler: this resource cannot be used, its last good version stays in force; the rest is taken."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


class Handler(Protocol):
    """Takes over what the server says."""

    async def on_update(self, type_url: str, added: Sequence[Resource], removed: Sequence[str], first: bool) -> None:
        """New and changed resources, and names of those that are gone; both may be empty.

        `first`: the first one of this type in the client's life. When a handler raises `InvalidResource` it is called
        again with the response's other resources, so taking a resource over twice must do no harm.
        """


class DeltaClient:
    """Follows a server: connects, resumes, retries."""

    def __init__(
        self,
        open_channel: Callable[[], grpc.aio.Channel],
        node: pb.Node,
        subscriptions: Mapping[str, Collection[str]],
        handler: Handler,
        *,
        known: Mapping[str, Mapping[str, str]] | None = None,
        on_connected: Callable[[bool], None] = lambda _: None,
        on_response: Callable[[str, int], None] = lambda _type_url, _bytes: None,
        on_nack: Callable[[str, str], None] = lambda _type_url, _message: None,
    ) -> None:
        """`subscriptions`: by type URL, names or `WILDCARD`. `known`: by type URL, versions by name already held.

        `open_channel` is called for each attempt, so that it can use a renewed certificate.
        """
        raise NotImplementedError

    @property
    def connected(self) -> bool:
        """Whether there is a stream on which the server has spoken."""
        raise NotImplementedError

    async def run(self) -> None:
        """Follow the server until cancelled."""
        raise NotImplementedError

    def subscribe(self, type_url: str, names: Collection[str]) -> None:
        """Ask for these names as well, now and after each reconnection."""
        raise NotImplementedError

    def unsubscribe(self, type_url: str, names: Collection[str]) -> None:
        """Ask for these names no more; what is held of them counts as forgotten, the handler is not told."""
        raise NotImplementedError
