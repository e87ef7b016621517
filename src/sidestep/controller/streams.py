"""The xDS streams of node agents: who may open one, and what the nodes make of what they get."""

from __future__ import annotations

import datetime as dt

import structlog

from sidestep.controller.callers import UnknownCallerError, node_of
from sidestep.controller.metrics import ControllerMetrics
from sidestep.controller.status import StatusBoard
from sidestep.wire import istio
from sidestep.xds.cache import Cache
from sidestep.xds.peer import Ack, Nack, Peer, RefusedError
from sidestep.xds.server import DeltaServer

_log = structlog.get_logger(__name__)


class NodeStreams:
    """What the delta server tells, turned into status, metrics and logs.

    A stream's node is the one in its certificate; what a client calls itself proves nothing.
    """

    def __init__(self, trust_domain: str, board: StatusBoard, metrics: ControllerMetrics) -> None:
        self._trust_domain = trust_domain
        self._board = board
        self._metrics = metrics
        self._nodes: dict[int, str] = {}

    def server(self, cache: Cache) -> DeltaServer:
        """A server of this cache for nodes only; policies go before the workloads they cover."""
        return DeltaServer(
            cache,
            authorize=self._authorize,
            order=(istio.AUTHORIZATION, istio.ADDRESS),
            on_ack=self._acknowledged,
            on_nack=self._rejected,
            on_connect=self._connected,
            on_disconnect=self._disconnected,
        )

    def _authorize(self, peer: Peer) -> None:
        try:
            identity = node_of(peer.properties, self._trust_domain, dt.datetime.now(dt.UTC))
        except UnknownCallerError as error:
            self._metrics.refused(str(error))
            _log.warning("stream_refused", reason=str(error), peer=peer.address)
            raise RefusedError(str(error)) from error
        self._nodes[id(peer)] = identity.node_name or ""

    def _connected(self, peer: Peer) -> None:
        self._metrics.connected.inc()
        _log.info("node_connected", node=self._name(peer), peer=peer.address)

    def _disconnected(self, peer: Peer) -> None:
        self._metrics.connected.dec()
        _log.info("node_disconnected", node=self._name(peer), peer=peer.address)
        self._nodes.pop(id(peer), None)

    def _acknowledged(self, ack: Ack) -> None:
        for resource in (*ack.versions, *ack.removed):
            self._board.accepted(self._name(ack.peer), ack.type_url, resource)

    def _rejected(self, nack: Nack) -> None:
        kind = nack.type_url.rpartition(".")[2]
        self._metrics.rejects.labels(kind).inc(max(len(nack.versions), 1))
        for resource in nack.versions:
            self._board.rejected(self._name(nack.peer), nack.type_url, resource, nack.message)

    def _name(self, peer: Peer) -> str:
        return self._nodes.get(id(peer), "")
