"""The delta xDS client over grpc.aio: follows a server, for ever. What it says is decided in `following`."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Collection, Mapping

import grpc
import grpc.aio
import structlog

from sidestep.wire import envoy as pb
from sidestep.xds.delivery import Handler, InvalidResource, deliver
from sidestep.xds.delta import WILDCARD
from sidestep.xds.following import Following
from sidestep.xds.server import METHOD
from sidestep.xds.stream import PARTIAL

__all__ = ["WILDCARD", "DeltaClient", "Handler", "InvalidResource"]

_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 5.0
_JITTER = 0.3

_Method = grpc.aio.StreamStreamMultiCallable[pb.DeltaDiscoveryRequest, bytes]

_log = structlog.get_logger(__name__)


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
        on_whole: Callable[[str], None] = lambda _type_url: None,
    ) -> None:
        """`subscriptions`: by type URL, names or `WILDCARD`. `known`: by type URL, versions by name already held.

        `open_channel` is called for each attempt, so that it can use a renewed certificate. `on_whole` is called when
        all that the server had to say of a type has been handled, which may take several responses.
        """
        self._open_channel = open_channel
        self._node = node
        self._handler = handler
        self._types = {
            type_url: Following(type_url, {names} if isinstance(names, str) else names, (known or {}).get(type_url, {}))
            for type_url, names in subscriptions.items()
        }
        self._on_connected = on_connected
        self._on_response = on_response
        self._on_nack = on_nack
        self._on_whole = on_whole
        self._connected = False
        self._outgoing: asyncio.Queue[pb.DeltaDiscoveryRequest] | None = None
        self._last_failure = ""

    @property
    def connected(self) -> bool:
        """Whether there is a stream, and the server has let us in."""
        return self._connected

    async def run(self) -> None:
        """Follow the server until cancelled. Only what `open_channel` raises ends it."""
        pause = _FIRST_PAUSE
        while True:
            if await self._attempt():
                pause = _FIRST_PAUSE
            await asyncio.sleep(pause * (1 + _JITTER * random.random()))  # noqa: S311
            pause = min(2 * pause, _LONGEST_PAUSE)

    def subscribe(self, type_url: str, names: Collection[str]) -> None:
        """Ask for these names as well, now and after each reconnection."""
        kept = self._types.setdefault(type_url, Following(type_url, (), {}))
        self._send(kept.subscribe({names} if isinstance(names, str) else names))

    def unsubscribe(self, type_url: str, names: Collection[str]) -> None:
        """Ask for these names no more; what is held of them counts as forgotten, the handler is not told."""
        if type_url in self._types:
            self._send(self._types[type_url].unsubscribe({names} if isinstance(names, str) else names))

    # --- one stream ----------------------------------------------------------------------------------------------

    async def _attempt(self) -> bool:
        """One connection, for as long as it lasts; gives whether the server let us in."""
        channel = self._open_channel()
        good = False
        try:
            method: _Method = channel.stream_stream(
                METHOD, request_serializer=pb.DeltaDiscoveryRequest.SerializeToString
            )
            call = method(self._requests(self._opening()))
            await call.initial_metadata()
            good = not call.done()
            self._set_connected(good)
            async for response in call:
                good = True
                self._set_connected(True)
                await self._take(response)
            self._failed("the server ended the stream")
        except grpc.aio.AioRpcError as error:
            self._failed(f"{error.code().name}: {error.details()}")
        except asyncio.CancelledError:
            # grpc raises this as well when the server ends the call with the status CANCELLED.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self._failed("CANCELLED")
        finally:
            self._outgoing = None
            self._set_connected(False)
            await channel.close()
        return good

    def _opening(self) -> asyncio.Queue[pb.DeltaDiscoveryRequest]:
        """A queue with the stream's first requests: what is followed, and what is held of it."""
        queue: asyncio.Queue[pb.DeltaDiscoveryRequest] = asyncio.Queue()
        self._outgoing = queue
        for each in self._types.values():
            self._send(each.opening())
        return queue

    async def _requests(
        self, queue: asyncio.Queue[pb.DeltaDiscoveryRequest]
    ) -> AsyncIterator[pb.DeltaDiscoveryRequest]:
        request = await queue.get()
        request.node.CopyFrom(self._node)
        while True:
            yield request
            request = await queue.get()

    def _send(self, request: pb.DeltaDiscoveryRequest | None) -> None:
        if request is not None and self._outgoing is not None:
            self._outgoing.put_nowait(request)

    async def _take(self, encoded: bytes) -> None:
        response = pb.DeltaDiscoveryResponse.FromString(encoded)
        type_url = response.type_url
        kept = self._types.setdefault(type_url, Following(type_url, (), {}))
        self._on_response(type_url, len(encoded))
        added, removed = kept.wanted(response.resources), tuple(response.removed_resources)
        rejected = await deliver(self._handler, type_url, added, removed, first=kept.first)
        if "" not in rejected:
            kept.taken([each for each in added if each.name not in rejected], removed)
        request = kept.answer(response.nonce, rejected)
        if rejected:
            _log.warning("xds.rejecting", type=type_url.rpartition(".")[2], names=sorted(filter(None, rejected))[:10])
            self._on_nack(type_url, request.error_detail.message)
        self._send(request)
        if "" not in rejected and response.system_version_info != PARTIAL:
            self._on_whole(type_url)

    # --- state ---------------------------------------------------------------------------------------------------

    def _set_connected(self, connected: bool) -> None:
        if connected == self._connected:
            return
        self._connected = connected
        if connected:
            self._last_failure = ""
            _log.info("xds.connected", node=self._node.id)
        self._on_connected(connected)

    def _failed(self, reason: str) -> None:
        # Attempts are frequent: the same trouble is told once.
        if reason != self._last_failure:
            self._last_failure = reason
            _log.warning("xds.disconnected", node=self._node.id, reason=reason)
