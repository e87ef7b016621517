from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from sidestep.mesh.model import NetworkAddress, Service, Workload
from sidestep.mesh.wds import encode_service, encode_workload
from sidestep.node.dns.captures import Captures
from sidestep.node.dns.directory import Directory
from sidestep.node.dns.feed import Feed
from sidestep.node.dns.metrics import DnsMetrics
from sidestep.wire import agent, istio
from sidestep.xds.client import InvalidResource
from sidestep.xds.resource import Resource

HOST = "server.shop.svc.cluster.local"
SERVICE = Service(name="server", namespace="shop", hostname=HOST, addresses=(NetworkAddress(address="10.96.0.1"),))
WORKLOAD = Workload(uid="Kubernetes//Pod/shop/a", name="a", namespace="shop", addresses=("10.244.1.5",))
MESH = [Resource.of(SERVICE.key, encode_service(SERVICE)), Resource.of(WORKLOAD.uid, encode_workload(WORKLOAD))]
NODE = Resource.of("node", agent.PodCapture(listen_address="127.0.0.1"))
BROKEN = Resource(name="broken", type_url=istio.ADDRESS, body=b"\xff\xff", version="1")


@pytest.fixture
def directory() -> Directory:
    return Directory()


@pytest.fixture
async def captures(directory: Directory) -> AsyncIterator[Captures]:
    async with asyncio.TaskGroup() as group:
        made = Captures(directory, group, domain="cluster.local", metrics=DnsMetrics(), cluster_port=35353)
        yield made
        await made.close()


async def listening(captures: Captures) -> bool:
    for _ in range(20):
        await asyncio.sleep(0.005)
        if captures.is_listening("node"):
            return True
    return False


async def test_the_mesh_comes_and_goes(directory: Directory, captures: Captures) -> None:
    feed = Feed(directory, captures)
    await feed.on_update(istio.ADDRESS, MESH, [], first=True)
    assert directory.service(HOST, "") is not None
    assert directory.namespace_at("10.244.1.5") == "shop"
    await feed.on_update(istio.ADDRESS, [], [SERVICE.key, WORKLOAD.uid], first=False)
    assert directory.service(HOST, "") is None
    assert directory.namespace_at("10.244.1.5") == ""


async def test_nobody_is_answered_before_the_mesh_is_known(directory: Directory, captures: Captures) -> None:
    feed = Feed(directory, captures)
    await feed.on_update(agent.POD_CAPTURE, [NODE], [], first=True)
    assert not await listening(captures)
    await feed.on_update(istio.ADDRESS, [], [], first=True)
    assert await listening(captures)


async def test_a_capture_that_went_before_the_mesh_came(directory: Directory, captures: Captures) -> None:
    feed = Feed(directory, captures)
    await feed.on_update(agent.POD_CAPTURE, [NODE], [], first=True)
    await feed.on_update(agent.POD_CAPTURE, [], ["node"], first=False)
    await feed.on_update(istio.ADDRESS, MESH, [], first=True)
    assert not await listening(captures)


async def test_a_capture_comes_and_goes(directory: Directory, captures: Captures) -> None:
    feed = Feed(directory, captures)
    await feed.on_update(istio.ADDRESS, MESH, [], first=True)
    await feed.on_update(agent.POD_CAPTURE, [NODE], [], first=True)
    assert await listening(captures)
    await feed.on_update(agent.POD_CAPTURE, [], ["node"], first=False)
    assert not captures.is_listening("node")


async def test_what_cannot_be_read_is_named_and_the_rest_is_taken(directory: Directory, captures: Captures) -> None:
    feed = Feed(directory, captures)
    with pytest.raises(InvalidResource, match="broken"):
        await feed.on_update(istio.ADDRESS, [BROKEN, *MESH], [], first=True)
    assert directory.service(HOST, "") is not None
    nowhere = Resource.of("nowhere", agent.PodCapture())
    with pytest.raises(InvalidResource, match="nowhere: neither a pod"):
        await feed.on_update(agent.POD_CAPTURE, [nowhere, NODE], [], first=True)
    assert await listening(captures)


async def test_another_type(directory: Directory, captures: Captures) -> None:
    with pytest.raises(ValueError, match="never subscribed"):
        await Feed(directory, captures).on_update("type.googleapis.com/a.B", [], [], first=True)
