"""A connection that is meant to be encrypted is never dialled in plain text, whatever else the mesh says."""

from typing import Any

import pytest

from sidestep.mesh.model import BalancingMode, LoadBalancing, NetworkAddress, Port, Service, TunnelProtocol, Workload
from sidestep.node.settings import NodeSettings
from sidestep.node.translator import destinations
from sidestep.node.translator.destinations import Destination, Refused, Unknown
from sidestep.node.view import MeshView

SETTINGS = NodeSettings(node="node-1", mesh_ranges=("10.244.0.0/16",), outside=("10.244.1.1",))
POD = Workload(
    uid="Kubernetes//Pod/shop/web",
    name="web",
    namespace="shop",
    node="node-2",
    addresses=("10.244.2.5",),
    tunnel_protocol=TunnelProtocol.HBONE,
)
ENTRY = Workload(uid="entry", name="entry", namespace="other", addresses=("10.244.2.5",))


def service(**more: Any) -> Service:
    return Service(
        name="entry",
        namespace="other",
        hostname="entry.example",
        ports=(Port(service_port=80, target_port=80),),
        **more,
    )


def view_of(*resources: Workload | Service) -> MeshView:
    view = MeshView()
    for each in resources:
        view.put(each)
    return view


def paths(view: MeshView, address: str, port: int = 80) -> list[str]:
    """How the endpoints are reached: the internal listener's name, or the address that is dialled in plain text."""
    found = destinations.find(view, SETTINGS, address, port)
    assert isinstance(found, Destination), found
    assert not found.passthrough
    assignment = destinations.load_assignment(SETTINGS, found, {})
    return [
        each.endpoint.address.envoy_internal_address.server_listener_name
        or each.endpoint.address.socket_address.address
        for locality in assignment.endpoints
        for each in locality.lb_endpoints
    ]


@pytest.mark.parametrize("order", [(POD, ENTRY), (ENTRY, POD)])
def test_an_entry_that_claims_the_address_of_a_pod_does_not_make_it_plain(order: tuple[Workload, Workload]) -> None:
    assert paths(view_of(*order), "10.244.2.5") == ["tunnel"]


def test_an_endpoint_at_the_address_of_a_pod_is_reached_as_the_pod() -> None:
    served = Workload(
        uid="e",
        name="e",
        namespace="other",
        addresses=POD.addresses,
        services={"other/entry.example": (Port(service_port=80, target_port=80),)},
    )
    virtual = service(addresses=(NetworkAddress(address="240.240.0.1"),))
    view = view_of(virtual, served, POD)
    assert paths(view, "240.240.0.1") == ["tunnel"]
    # and when the pod comes later, the virtual address is told to have changed
    view = view_of(virtual, served)
    assert paths(view, "240.240.0.1") == ["10.244.2.5"]
    assert "240.240.0.1" in view.put(POD)
    assert "240.240.0.1" in view.remove(POD.uid)


@pytest.mark.parametrize(
    "addresses",
    [
        (NetworkAddress(address="10.244.2.5"),),
        (NetworkAddress(address="10.244.0.0", prefix_length=16),),
        (NetworkAddress(address="0.0.0.0", prefix_length=0),),
    ],
)
def test_passing_through_does_not_reach_around_the_tunnel(addresses: tuple[NetworkAddress, ...]) -> None:
    through = service(addresses=addresses, load_balancing=LoadBalancing(mode=BalancingMode.PASSTHROUGH))
    assert paths(view_of(through, POD), "10.244.2.5") == ["tunnel"]


def test_passing_through_to_pods_that_are_not_known_is_held() -> None:
    block = NetworkAddress(address="0.0.0.0", prefix_length=0)
    through = service(addresses=(block,), load_balancing=LoadBalancing(mode=BalancingMode.PASSTHROUGH))
    view = view_of(through)
    assert isinstance(destinations.find(view, SETTINGS, "10.244.9.9", 80), Unknown)
    found = destinations.find(view, SETTINGS, "192.0.2.1", 80)
    assert isinstance(found, Destination)
    assert found.passthrough


def test_a_tunnel_needs_an_address() -> None:
    nameless = Workload(
        uid="n",
        name="n",
        namespace="other",
        hostname="vm.example",
        tunnel_protocol=TunnelProtocol.HBONE,
        services={"other/entry.example": (Port(service_port=80, target_port=80),)},
    )
    assert paths(view_of(service(addresses=(NetworkAddress(address="240.240.0.1"),)), nameless), "240.240.0.1") == []


@pytest.mark.parametrize("port", [15001, 15006, 15008])
def test_ports_of_the_node_proxy_are_nobodys_destination(port: int) -> None:
    assert isinstance(destinations.find(view_of(POD), SETTINGS, "10.244.2.5", port), Refused)
