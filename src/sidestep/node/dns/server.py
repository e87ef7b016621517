"""Queries in, answers out, over UDP and TCP."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Coroutine
from contextlib import ExitStack

import structlog

from sidestep.node.dns.answerer import Answerer, Transport, Verdict
from sidestep.node.dns.forward import Forwarder, NoResolverError
from sidestep.node.dns.framing import receive_message, send_message
from sidestep.node.dns.metrics import DnsMetrics
from sidestep.node.dns.resolve import Client
from sidestep.node.dns.sockets import Listeners

_LARGEST_DATAGRAM = 4096
_DATAGRAMS_AT_ONCE = 64
"""So many are answered before other work of the event loop gets its turn."""
_MOST_FORWARDED = 512
_MOST_CONNECTIONS = 128
_IDLE_SECONDS = 10.0
_RETRY_ACCEPT_SECONDS = 0.1

_log = structlog.get_logger()


class Server:
    """Serves one pod, or the node's cluster DNS."""

    def __init__(
        self,
        answerer: Answerer,
        forwarder: Forwarder,
        client_at: Callable[[str], Client],
        metrics: DnsMetrics,
    ) -> None:
        """`client_at` tells who asks, by the address that a query came from."""
        self._answerer = answerer
        self._forwarder = forwarder
        self._client_at = client_at
        self._metrics = metrics
        self._forwarded = 0
        self._connections = 0

    async def serve(self, listeners: Listeners) -> None:
        """Serves until it is cancelled, then closes `listeners`."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            with ExitStack() as stack:
                stack.callback(listeners.close)
                stack.callback(self._forwarder.close)
                for datagrams in listeners.udp:
                    loop.add_reader(datagrams, self._receive, datagrams, group)
                    stack.callback(loop.remove_reader, datagrams)
                accepting = [group.create_task(self._accept(streams, group)) for streams in listeners.tcp]
                try:
                    await asyncio.Event().wait()
                finally:
                    for task in accepting:
                        task.cancel()
                    await asyncio.gather(*accepting, return_exceptions=True)

    def _receive(self, datagrams: socket.socket, group: asyncio.TaskGroup) -> None:
        for _ in range(_DATAGRAMS_AT_ONCE):
            try:
                query, peer = datagrams.recvfrom(_LARGEST_DATAGRAM)
            except BlockingIOError:
                return
            except OSError as error:
                _log.debug("dns.receive_failed", error=str(error))
                return
            client = self._client_at(peer[0])
            reply = self._reply_at_once(query, client, Transport.UDP)
            if isinstance(reply, bytes):
                self._send(datagrams, reply, peer)
            elif reply is Verdict.FORWARD:
                if self._forwarded < _MOST_FORWARDED:
                    group.create_task(self._forward_datagram(datagrams, query, peer))
                else:
                    self._metrics.dropped.inc()

    def _send(self, datagrams: socket.socket, reply: bytes, peer: tuple[str, int]) -> None:
        try:
            datagrams.sendto(reply, peer)
        except OSError as error:
            # The client asks again; a namespace that is being torn down has nobody left to ask.
            self._metrics.dropped.inc()
            _log.debug("dns.send_failed", error=str(error))

    async def _forward_datagram(self, datagrams: socket.socket, query: bytes, peer: tuple[str, int]) -> None:
        try:
            reply = await self._forward(query, Transport.UDP)
        except Exception:  # noqa: BLE001 - one odd query must not take the other pods' DNS away
            _log.exception("dns.forward_broken")
            return
        if isinstance(reply, bytes):
            self._send(datagrams, reply, peer)

    def _reply_at_once(self, query: bytes, client: Client, transport: Transport) -> bytes | Verdict:
        self._metrics.requests.inc()
        reply = self._answerer.answer(query, client, transport)
        if reply is Verdict.DROP:
            self._metrics.dropped.inc()
        return reply

    async def _forward(self, query: bytes, transport: Transport) -> bytes | Verdict:
        self._forwarded += 1
        self._metrics.upstream_requests.inc()
        started = time.perf_counter()
        try:
            reply = await self._forwarder.forward(query, transport)
        except NoResolverError as error:
            self._metrics.upstream_failures.inc()
            _log.debug("dns.forward_failed", error=str(error))
            return self._answerer.failure(query)
        finally:
            self._forwarded -= 1
        self._metrics.upstream_seconds.observe(time.perf_counter() - started)
        return reply

    async def _accept(self, streams: socket.socket, group: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                stream, peer = await loop.sock_accept(streams)
            except OSError as error:
                # Mostly out of file descriptors, or a connection that was gone before it was accepted.
                _log.debug("dns.accept_failed", error=str(error))
                await asyncio.sleep(_RETRY_ACCEPT_SECONDS)
                continue
            if self._connections >= _MOST_CONNECTIONS:
                stream.close()
                self._metrics.dropped.inc()
                continue
            group.create_task(self._quietly(stream, self._converse(stream, self._client_at(peer[0]))))

    async def _quietly(self, stream: socket.socket, conversation: Coroutine[None, None, None]) -> None:
        """Runs a conversation and closes its connection; a client that leaves or stays silent is no error."""
        self._connections += 1
        try:
            await conversation
        except (OSError, TimeoutError) as error:
            _log.debug("dns.connection_ended", error=str(error))
        except Exception:  # noqa: BLE001 - as above
            _log.exception("dns.connection_broken")
        finally:
            self._connections -= 1
            stream.close()

    async def _converse(self, stream: socket.socket, client: Client) -> None:
        while True:
            async with asyncio.timeout(_IDLE_SECONDS):
                query = await receive_message(stream)
            if query is None:
                return
            reply = self._reply_at_once(query, client, Transport.TCP)
            if reply is Verdict.FORWARD:
                reply = await self._forward(query, Transport.TCP)
            if isinstance(reply, Verdict):
                return
            async with asyncio.timeout(_IDLE_SECONDS):
                await send_message(stream, reply)
