"""The delta xDS server over grpc.aio. What it says is decided in `stream` and `subscriptions`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc

from sidestep.xds.cache import Cache
from sidestep.xds.peer import Ack, Authorize, Nack, OnDemand, Peer, Visible

METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"


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
        raise NotImplementedError

    def handlers(self) -> tuple[grpc.GenericRpcHandler[Any, Any], ...]:
        """What `grpc.aio.Server.add_generic_rpc_handlers` takes."""
        raise NotImplementedError

    @property
    def peers(self) -> tuple[Peer, ...]:
        """Clients with an open stream."""
        raise NotImplementedError
