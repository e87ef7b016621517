"""The delta xDS server over grpc.aio. What it says is decided in `stream` and `subscriptions`."""

from __future__ import annotations

import asyncio
import functools
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import Any

import grpc
import grpc.aio
import structlog

from sidestep.wire import envoy as pb
from sidestep.xds.cache import Cache, Change
from sidestep.xds.peer import Ack, Answer, Authorize, Nack, OnDemand, Peer, Pending, RefusedError, Visible
from sidestep.xds.resource import Resource
from sidestep.xds.stream import Flush, Rules, Stream

SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
METHOD = f"/{SERVICE}/DeltaAggregatedResources"

_Context = grpc.aio.ServicerContext[pb.DeltaDiscoveryRequest, bytes]
_Requests = AsyncIterator[pb.DeltaDiscoveryRequest]

_log = structlog.get_logger(__name__)


class DeltaServer:
    """Serves a cache over delta xDS: `grpc_server.add_generic_rpc_handlers(server.handlers())`."""

    def __init__(
        self,
        cache: Cache,
        *,
        on_demand: OnDemand | None = None,
        authorize: Authorize = lambda _: None,
        visible: Visible = lambda _peer, _resource: True,
        order: Sequence[str] = (),
        companions: Mapping[str, str] | None = None,
        on_ack: Callable[[Ack], None] = lambda _: None,
        on_nack: Callable[[Nack], None] = lambda _: None,
        on_connect: Callable[[Peer], None] = lambda _: None,
        on_disconnect: Callable[[Peer], None] = lambda _: None,
    ) -> None:
        """`order`: type URLs in which changes of several types are sent (for Envoy: clusters, endpoints, …, listeners).

        `companions`: by type URL, the type whose resource of the same name is sent again whenever one of the former is
        changed at a client (for Envoy: clusters → load assignments, because a changed cluster waits for its endpoints).
        """
        self.cache = cache
        self.on_demand = on_demand
        self.authorize = authorize
        self.on_ack = on_ack
        self.on_nack = on_nack
        self.rules = Rules(visible=visible, asks=on_demand is not None, order=tuple(order), companions=companions or {})
        self._on_connect = on_connect
        self._on_disconnect = on_disconnect
        self._sessions: set[_Session] = set()
        self._subscribers: Counter[tuple[str, str]] = Counter()

    def handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """What `grpc.aio.Server.add_generic_rpc_handlers` takes."""
        method: grpc.RpcMethodHandler[Any, Any] = grpc.stream_stream_rpc_method_handler(
            self._serve,
            request_deserializer=pb.DeltaDiscoveryRequest.FromString,
            response_serializer=None,
        )
        return (grpc.method_handlers_generic_handler(SERVICE, {METHOD.rpartition("/")[2]: method}),)

    @property
    def peers(self) -> tuple[Peer, ...]:
        """Clients with an open stream."""
        return tuple(session.peer for session in self._sessions)

    async def _serve(self, requests: _Requests, context: _Context) -> AsyncIterator[bytes]:
        opening = await anext(requests, None)
        if opening is None:
            return
        peer = Peer(node=opening.node, address=context.peer(), properties=context.auth_context())
        try:
            self.authorize(peer)
        except RefusedError as refusal:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, str(refusal))
        session = _Session(self, peer)
        self._sessions.add(session)
        self._on_connect(peer)
        # A generator whose call ends while a response is being written is finalized late; the call's end is not.
        context.add_done_callback(functools.partial(self._ended, session))  # type: ignore[arg-type] # any callable will do
        # Tells the client that it has been let in, before there is anything to say.
        await context.send_initial_metadata(())
        try:
            session.open(opening, requests)
            async for response in session.responses():
                yield response
        finally:
            self._end(session)

    def _ended(self, session: _Session, _context: _Context) -> None:
        self._end(session)

    def _end(self, session: _Session) -> None:
        if session not in self._sessions:
            return
        self._sessions.discard(session)
        session.close()
        self.release(session.stream.names)
        self._on_disconnect(session.peer)

    def retain(self, names: frozenset[tuple[str, str]]) -> None:
        """A stream subscribes to these."""
        self._subscribers.update(names)

    def release(self, names: frozenset[tuple[str, str]]) -> None:
        """A stream subscribes to these no more; the last one's end is told to the on-demand source."""
        for key in names:
            self._subscribers[key] -= 1
            if self._subscribers[key] <= 0:
                del self._subscribers[key]
                if self.on_demand is not None:
                    self.on_demand.released(*key)


class _Session:
    """One stream's tasks."""

    def __init__(self, server: DeltaServer, peer: Peer) -> None:
        self._server = server
        self.peer = peer
        self.stream = Stream(server.cache, peer, server.rules)
        self._wake = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._end_watch: Callable[[], None] = lambda: None

    def open(self, opening: pb.DeltaDiscoveryRequest, requests: _Requests) -> None:
        """Take the first request, read the others from now on."""
        self._end_watch = self._server.cache.watch(self._changed)
        self._receive(opening)
        self._reader = self._start(self._read(requests))

    def close(self) -> None:
        """End what runs."""
        self._end_watch()
        for task in tuple(self._tasks):
            task.cancel()

    async def responses(self) -> AsyncIterator[bytes]:
        """Encoded responses until the client has no more requests.

        The next ones are made when the one before has been taken by the transport: for a slow client, changes
        meanwhile become one.
        """
        reader = self._reader
        assert reader is not None
        while True:
            await self._wake.wait()
            self._wake.clear()
            if reader.done():
                # Raises what ended it, if anything did.
                reader.result()
                return
            flush = self.stream.take()
            while flush.responses or flush.asks:
                self._ask(flush)
                for response in flush.responses:
                    yield response
                flush = self.stream.take()

    async def _read(self, requests: _Requests) -> None:
        async for request in requests:
            self._receive(request)

    def _receive(self, request: pb.DeltaDiscoveryRequest) -> None:
        received = self.stream.receive(request)
        self._server.retain(frozenset((received.type_url, name) for name in received.subscribed))
        self._server.release(frozenset((received.type_url, name) for name in received.released))
        self._wake.set()
        match received.outcome:
            case Ack() as ack:
                self._server.on_ack(ack)
            case Nack() as nack:
                kind = nack.type_url.rpartition(".")[2]
                _log.warning("xds.rejected", node=self.peer.node_id, type=kind, names=sorted(nack.versions)[:10])
                self._server.on_nack(nack)

    def _changed(self, change: Change) -> None:
        if self.stream.changed(change):
            self._wake.set()

    def _ask(self, flush: Flush) -> None:
        for type_url, name in flush.asks:
            self._start(self._resolve(type_url, name))

    async def _resolve(self, type_url: str, name: str) -> None:
        source = self._server.on_demand
        assert source is not None
        answer: Resource | Answer = Pending
        try:
            answer = await source.resolve(type_url, name, self.peer.node_id)
            if isinstance(answer, Resource):
                _check_answer(answer, name)
                if self.stream.wants(type_url, name):
                    self._server.cache.update(type_url, [answer])
        except Exception as error:  # noqa: BLE001 - one name's trouble must not end the stream
            # Without the values of local variables, which a log's own traceback may show: they may hold secrets.
            trace = "".join(traceback.format_exception(error))
            _log.error("xds.resolve_failed", type=type_url.rpartition(".")[2], name=name, trace=trace)
        self.stream.answered(type_url, name, answer)
        self._wake.set()

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            # Looked at here, because nobody else does once the stream is closed; `responses` raises it before that.
            task.exception()
        self._wake.set()


def _check_answer(resource: Resource, name: str) -> None:
    if name != resource.name and name not in resource.aliases:
        raise ValueError(f"asked for {name!r}, got {resource!r}")
