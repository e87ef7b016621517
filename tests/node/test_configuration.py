"""What Envoy is told, and what it is not told yet."""

import pytest

from sidestep.mesh.model import Action, Policy, PolicyScope, Rule
from sidestep.node.configuration import ProxyConfiguration
from sidestep.node.pods import Pod
from sidestep.node.settings import NodeSettings
from sidestep.node.view import MeshView
from sidestep.wire import envoy as pb
from sidestep.xds.cache import Cache

POD = Pod(
    uid="u1",
    name="web",
    namespace="shop",
    service_account="web",
    network_namespace="/run/netns/web",
    addresses=("10.244.1.5",),
)
DENY = Policy(name="deny", namespace="shop", scope=PolicyScope.NAMESPACE, action=Action.DENY, rules=(Rule(clauses=()),))


@pytest.fixture
def cache() -> Cache:
    return Cache()


@pytest.fixture
def view() -> MeshView:
    return MeshView()


@pytest.fixture
def configuration(view: MeshView, cache: Cache) -> ProxyConfiguration:
    made = ProxyConfiguration(NodeSettings(node="node-1"), view, cache)
    made.put_pod(POD)
    made.publish_base()
    return made


def rules(cache: Cache) -> str:
    return "".join(str(each.body) for each in cache.snapshot(pb.EXTENSION_CONFIG))


def test_policies_that_nobody_told_us_do_not_look_like_none(
    configuration: ProxyConfiguration, view: MeshView, cache: Cache
) -> None:
    """An Envoy that outlived its agent would be told to let everybody in."""
    for type_url in (pb.EXTENSION_CONFIG, pb.LISTENER):
        assert not cache.snapshot(type_url)
        assert not cache.complete(type_url)
    assert cache.complete(pb.CLUSTER)
    view.put_policy(DENY)
    configuration.mesh_changed((), policies=True)
    assert not cache.snapshot(pb.EXTENSION_CONFIG)
    configuration.mesh_is_known()
    assert DENY.key in rules(cache)
    assert len(tuple(cache.snapshot(pb.LISTENER))) == 5
    assert cache.complete(pb.LISTENER)


def test_policies_follow_the_mesh(configuration: ProxyConfiguration, view: MeshView, cache: Cache) -> None:
    configuration.mesh_is_known()
    assert DENY.key not in rules(cache)
    view.put_policy(DENY)
    configuration.mesh_changed((), policies=True)
    assert DENY.key in rules(cache)
