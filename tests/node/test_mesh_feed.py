"""What is remembered of the mesh, and when it counts as known."""

import asyncio
from pathlib import Path

import pytest

from sidestep.mesh.model import Action, Policy, PolicyScope, Workload
from sidestep.mesh.wds import encode_workload
from sidestep.mesh.wds_policy import encode_policy
from sidestep.node.mesh_feed import MeshFeed
from sidestep.node.view import MeshView
from sidestep.wire import istio
from sidestep.xds.cache import Cache
from sidestep.xds.resource import Resource

POD = Workload(uid="u1", name="web", namespace="shop", addresses=("10.244.1.5",))
POLICY = Policy(name="deny", namespace="shop", scope=PolicyScope.NAMESPACE, action=Action.DENY)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mesh.msgpack"


def feed_at(path: Path, view: MeshView) -> MeshFeed:
    return MeshFeed(view, Cache(), path, lambda _addresses, _policies: None)


async def test_a_mesh_without_its_policies_is_neither_known_nor_saved(path: Path) -> None:
    """An agent that is killed in between would start with pods that no policy protects."""
    feed = feed_at(path, MeshView())
    async with asyncio.TaskGroup() as group:
        saving = group.create_task(feed.run())
        await feed.on_update(istio.ADDRESS, [Resource.of(POD.uid, encode_workload(POD))], (), first=True)
        feed.on_whole(istio.ADDRESS)
        # a first part of the policies
        await feed.on_update(istio.AUTHORIZATION, [Resource.of("a/b", encode_policy(POLICY))], (), first=True)
        await asyncio.sleep(0.05)
        assert not feed.synchronised.is_set()
        assert not path.exists()
        await feed.on_update(istio.AUTHORIZATION, [Resource.of(POLICY.key, encode_policy(POLICY))], (), first=False)
        feed.on_whole(istio.AUTHORIZATION)
        assert feed.synchronised.is_set()
        async with asyncio.timeout(5):
            while not path.exists():  # noqa: ASYNC110 - another thread writes it
                await asyncio.sleep(0.01)
        saving.cancel()
    view = MeshView()
    assert feed_at(path, view).load()
    assert view.workload_at("10.244.1.5") == POD
    assert POLICY.key in view.policies
