"""The view answers by address, service and namespace, whatever order things come and go in."""

import hypothesis.strategies as st
import msgspec
from hypothesis import given
from tests.mesh.strategies import services, workloads

from sidestep.mesh.model import Action, NetworkAddress, Policy, PolicyScope, Service, TunnelProtocol, Workload
from sidestep.node.view import MeshView

WEB = Service(name="web", namespace="shop", hostname="web.shop", addresses=(NetworkAddress(address="10.96.0.1"),))
POD = Workload(uid="u1", name="web-1", namespace="shop", addresses=("10.244.0.1", "fd00::1"), services={WEB.key: ()})


def test_lookups() -> None:
    view = MeshView()
    view.put(WEB)
    assert view.put(POD) == {"10.244.0.1", "fd00::1", "10.96.0.1"}
    assert view.workload_at("fd00::1") == POD
    assert view.service_at("10.96.0.1") == WEB
    assert list(view.workloads_of(WEB)) == [POD]


def test_a_replaced_workload_frees_its_old_address() -> None:
    view = MeshView()
    view.put(POD)
    moved = Workload(uid="u1", name="web-1", namespace="shop", addresses=("10.244.0.2",))
    assert view.put(moved) >= {"10.244.0.1", "10.244.0.2"}
    assert view.workload_at("10.244.0.1") is None
    assert view.workload_at("10.244.0.2") == moved


def test_an_address_that_moved_to_another_workload_stays_with_it() -> None:
    view = MeshView()
    view.put(POD)
    heir = Workload(uid="u2", name="web-2", namespace="shop", addresses=("10.244.0.1",))
    view.put(heir)
    view.remove("u1")
    assert view.workload_at("10.244.0.1") == heir


def test_the_smallest_block_wins() -> None:
    view = MeshView()
    for name, address, length in (("wide", "10.0.0.0", 8), ("narrow", "10.1.0.0", 16)):
        block = NetworkAddress(address=address, prefix_length=length)
        view.put(Service(name=name, namespace="shop", hostname=name, addresses=(block,)))
    found = [view.service_at(address) for address in ("10.1.2.3", "10.2.2.3", "192.0.2.1")]
    assert [service.name if service else None for service in found] == ["narrow", "wide", None]
    view.remove("shop/narrow")
    wide = view.service_at("10.1.2.3")
    assert wide is not None
    assert wide.name == "wide"


def test_only_addresses_that_the_mesh_has_a_say_in_are_named() -> None:
    view = MeshView()
    view.put(WEB)
    view.put(POD)
    assert list(view.addresses()) == ["10.96.0.1"]
    view.put(msgspec.structs.replace(POD, tunnel_protocol=TunnelProtocol.HBONE))
    assert sorted(view.addresses()) == ["10.244.0.1", "10.96.0.1", "fd00::1"]


def test_policies_for_a_workload() -> None:
    view = MeshView()
    selected = Policy(name="selected", namespace="shop", scope=PolicyScope.WORKLOAD_SELECTOR, action=Action.DENY)
    for policy in (
        selected,
        Policy(name="all", namespace="istio-system", scope=PolicyScope.GLOBAL, action=Action.DENY),
        Policy(name="own", namespace="shop", scope=PolicyScope.NAMESPACE, action=Action.DENY),
        Policy(name="other", namespace="bank", scope=PolicyScope.NAMESPACE, action=Action.DENY),
    ):
        view.put_policy(policy)
    assert [policy.name for policy in view.policies_for(POD)] == ["all", "own"]
    covered = Workload(uid="u", name="w", namespace="shop", authorization_policies=(selected.key,))
    assert [policy.name for policy in view.policies_for(covered)] == ["all", "own", "selected"]


@given(st.lists(st.one_of(services, workloads), max_size=12))
def test_all_that_came_can_go(resources: list[Service | Workload]) -> None:
    view = MeshView()
    names = []
    for resource in resources:
        view.put(resource)
        names.append(resource.uid if isinstance(resource, Workload) else resource.key)
    for name in names:
        view.remove(name)
    assert list(view.addresses()) == []
    assert not view.workloads
    assert not view.services
