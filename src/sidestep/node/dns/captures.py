"""The places where this node answers DNS: one for each captured pod, and the node's cluster DNS.

Each is kept by a task of its own, which opens the sockets, serves, and starts over when its namespace vanishes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import structlog
from google.protobuf.message import DecodeError

from sidestep.node.dns.answerer import Answerer
from sidestep.node.dns.directory import Directory
from sidestep.node.dns.forward import Forwarder, Limits, Resolver
from sidestep.node.dns.metrics import DnsMetrics
from sidestep.node.dns.resolve import Client
from sidestep.node.dns.server import Server
from sidestep.node.dns.sockets import Location, is_address, listen
from sidestep.wire import agent

POD_ADDRESSES, POD_PORT = ("127.0.0.1", "::1"), 15053
"""Where nftables' `redirect` sends what a pod sends to port 53."""
CLUSTER_PORT = 53
_WATCH_SECONDS = 1.0
_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 0.1, 5.0

_log = structlog.get_logger()


class Capture(msgspec.Struct, frozen=True, kw_only=True):
    """Where to listen and for whom; as `PodCapture`, but typed."""

    name: str
    namespace: str = ""
    network_namespace: str = ""
    resolvers: tuple[str, ...] = ()
    listen_address: str = ""

    @classmethod
    def from_wire(cls, name: str, body: bytes) -> Capture:
        """From an xDS resource; ValueError when it says neither where a pod is nor an address to listen on."""
        try:
            wire = agent.PodCapture.FromString(body)
        except DecodeError as error:
            raise ValueError(f"{name}: not a PodCapture: {error}") from error
        if not wire.pod.network_namespace and not wire.listen_address:
            raise ValueError(f"{name}: neither a pod with a network namespace nor a listen_address")
        if wire.listen_address and not is_address(wire.listen_address):
            raise ValueError(f"{name}: listen_address {wire.listen_address!r} is not an IP address")
        resolvers = tuple(address for address in wire.resolvers if is_address(address))
        if len(resolvers) < len(wire.resolvers):
            _log.warning("dns.resolver_ignored", capture=name, reason="not an IP address", given=list(wire.resolvers))
        return cls(
            name=name,
            namespace=wire.pod.namespace,
            network_namespace=wire.pod.network_namespace,
            resolvers=resolvers,
            listen_address="" if wire.pod.network_namespace else wire.listen_address,
        )


class _Kept(msgspec.Struct, frozen=True):
    capture: Capture
    task: asyncio.Task[None]
    listening: asyncio.Event


class Captures:
    """Serves a changing set of captures."""

    def __init__(
        self,
        directory: Directory,
        group: asyncio.TaskGroup,
        *,
        domain: str,
        metrics: DnsMetrics,
        cluster_port: int = CLUSTER_PORT,
        limits: Limits | None = None,
    ) -> None:
        """`group` runs the tasks and has to outlive the captures."""
        self._directory = directory
        self._group = group
        self._metrics = metrics
        self._cluster_port = cluster_port
        self._limits = limits
        self._answerer = Answerer(directory, domain=domain)
        self._kept: dict[str, _Kept] = {}
        self._listen_addresses: frozenset[str] = frozenset()

    async def put(self, capture: Capture) -> None:
        """Starts to serve it, in place of the one of that name; an equal one is left alone."""
        kept = self._kept.get(capture.name)
        if kept is not None and kept.capture == capture:
            return
        await self.remove(capture.name)
        self._listen_addresses |= {capture.listen_address} - {""}
        listening = asyncio.Event()
        task = self._group.create_task(self._keep(capture, listening), name=f"dns {capture.name}")
        self._kept[capture.name] = _Kept(capture, task, listening)

    def is_listening(self, name: str) -> bool:
        """Whether its sockets are open at this moment."""
        return name in self._kept and self._kept[name].listening.is_set()

    async def remove(self, name: str) -> None:
        """Stops to serve it; its sockets are closed on return. An unknown name is no error."""
        kept = self._kept.pop(name, None)
        if kept is not None:
            self._listen_addresses -= {kept.capture.listen_address}
            kept.task.cancel()
            await asyncio.wait([kept.task])

    async def close(self) -> None:
        """Stops to serve all of them."""
        for name in tuple(self._kept):
            await self.remove(name)

    async def _keep(self, capture: Capture, listening: asyncio.Event) -> None:
        delay = _FIRST_RETRY_SECONDS
        said = ""
        while True:
            try:
                await self._serve(capture, listening)
                delay = _FIRST_RETRY_SECONDS
            except FileNotFoundError:
                _log.debug("dns.namespace_gone", capture=capture.name)
            except OSError as error:
                if str(error) != said:
                    said = str(error)
                    _log.warning("dns.cannot_listen", capture=capture.name, error=said)
            await asyncio.sleep(delay)
            delay = min(2 * delay, _LAST_RETRY_SECONDS)

    async def _serve(self, capture: Capture, listening: asyncio.Event) -> None:
        """Serves until the network namespace is gone; OSError when it cannot be listened on."""
        location = Location(network_namespace=capture.network_namespace)
        was = location.exists()
        addresses, port = (
            ((capture.listen_address,), self._cluster_port) if capture.listen_address else (POD_ADDRESSES, POD_PORT)
        )
        listeners = await listen(location, addresses, port)
        forwarder = Forwarder(self._resolvers(capture), location, self._limits)
        server = Server(self._answerer, forwarder, self._client_of(capture), self._metrics)
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(server.serve(listeners))
            listening.set()
            while location.exists() == was:  # noqa: ASYNC110 - nothing tells when a namespace goes
                await asyncio.sleep(_WATCH_SECONDS)
            serving.cancel()
        # Sockets keep a namespace alive: closing them lets the kernel free it.
        listening.clear()

    def _resolvers(self, capture: Capture) -> tuple[Resolver, ...]:
        """Its resolvers; the cluster DNS never asks itself."""
        own = self._listen_addresses if capture.listen_address else frozenset()
        return tuple(Resolver(address) for address in capture.resolvers if address not in own)

    def _client_of(self, capture: Capture) -> Callable[[str], Client]:
        if capture.listen_address:
            return lambda address: Client(namespace=self._directory.namespace_at(address), is_final=True)
        # When the pod's resolver is this very process, nobody else is left to know a name of the cluster.
        nobody_else, others = (Client(namespace=capture.namespace, is_final=final) for final in (True, False))
        first = capture.resolvers[0] if capture.resolvers else ""
        return lambda _: nobody_else if first in self._listen_addresses else others
