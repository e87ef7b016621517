from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest

from sidestep.envoy.binary import find_binary, validate
from sidestep.envoy.bootstrap import BootstrapOptions, SocketPathTooLongError, bootstrap
from sidestep.envoy.config import duration
from sidestep.envoy.errors import InvalidBootstrapError
from sidestep.envoy.options import EnvoyOptions
from sidestep.envoy.supervisor import Supervisor
from sidestep.wire import envoy as pb


def options(folder: Path) -> BootstrapOptions:
    return BootstrapOptions(
        node_id="node-1",
        node_cluster="test",
        xds_socket=folder / "xds.sock",
        admin_socket=folder / "admin.sock",
        metadata={"NODE_NAME": "node-1"},
        runtime={"envoy.some.feature": False},
    )


def test_it_says_who_it_is_and_where_to_ask(tmp_path: Path) -> None:
    config = bootstrap(options(tmp_path))
    assert (config.node.id, config.node.cluster) == ("node-1", "test")
    assert config.node.metadata["NODE_NAME"] == "node-1"
    assert config.dynamic_resources.ads_config.api_type == pb.ApiConfigSource.DELTA_GRPC
    (xds,) = config.static_resources.clusters
    endpoint = xds.load_assignment.endpoints[0].lb_endpoints[0].endpoint
    assert endpoint.address.pipe.path == str(tmp_path / "xds.sock")


def test_the_admin_interface_is_for_its_owner_alone(tmp_path: Path) -> None:
    pipe = bootstrap(options(tmp_path)).admin.address.pipe
    assert (pipe.path, pipe.mode) == (str(tmp_path / "admin.sock"), 0o600)


def test_it_never_serves_without_a_configuration(tmp_path: Path) -> None:
    resources = bootstrap(options(tmp_path)).dynamic_resources
    for source in (resources.lds_config, resources.cds_config):
        assert source.HasField("initial_fetch_timeout")
        assert source.initial_fetch_timeout == pb.Duration()


def test_runtime_values(tmp_path: Path) -> None:
    (layer,) = bootstrap(options(tmp_path)).layered_runtime.layers
    assert dict(layer.static_layer) == {"envoy.some.feature": False}


def test_a_long_path_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(SocketPathTooLongError, match="are too long for a Unix socket, 107 is the limit"):
        bootstrap(options(tmp_path / ("x" * 100)))


async def test_envoy_accepts_it(tmp_path: Path) -> None:
    await validate(bootstrap(options(tmp_path)))


async def test_envoy_says_what_is_wrong(tmp_path: Path) -> None:
    config = bootstrap(options(tmp_path))
    config.static_resources.clusters.add(name="broken", connect_timeout=duration(-1))
    with pytest.raises(InvalidBootstrapError, match="Invalid duration"):
        await validate(config)


class EmptyDiscovery(grpc.GenericRpcHandler):
    """Answers every first subscription with nothing."""

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[pb.DeltaDiscoveryRequest, pb.DeltaDiscoveryResponse]:
        return grpc.stream_stream_rpc_method_handler(
            self._answer,
            pb.DeltaDiscoveryRequest.FromString,
            pb.DeltaDiscoveryResponse.SerializeToString,
        )

    async def _answer(
        self, requests: AsyncIterator[pb.DeltaDiscoveryRequest], _: object
    ) -> AsyncIterator[pb.DeltaDiscoveryResponse]:
        async for request in requests:
            if not request.response_nonce:
                yield pb.DeltaDiscoveryResponse(type_url=request.type_url, nonce=request.type_url)


async def test_it_waits_for_its_discovery_service_and_finds_it_quickly(tmp_path: Path) -> None:
    supervisor = Supervisor(
        EnvoyOptions(
            binary=find_binary(),
            bootstrap=bootstrap(options(tmp_path)),
            folder=tmp_path,
            log_path=tmp_path / "envoy.log",
            concurrency=1,
        )
    )
    run = asyncio.create_task(supervisor.run())
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((EmptyDiscovery(),))
    try:
        await asyncio.sleep(2)  # long enough for the back-off to reach its maximum
        assert not await supervisor.admin.is_ready()
        assert (await supervisor.admin.server_info()).state == "PRE_INITIALIZING"
        server.add_insecure_port(f"unix:{tmp_path / 'xds.sock'}")
        await server.start()
        start = time.monotonic()
        await asyncio.wait_for(supervisor.ready(), 5)
        assert time.monotonic() - start < 2.0
    finally:
        await supervisor.stop()
        await run
        await server.stop(None)
