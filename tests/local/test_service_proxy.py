from sidestep.local.service_proxy import VirtualPort, ruleset, virtual_ports
from sidestep.mesh.model import LoadBalancing, Mesh, NetworkAddress, Port, Service, Workload


def mesh(*, healthy: bool = True, unhealthy_too: bool = False) -> Mesh:
    service = Service(
        name="web",
        namespace="default",
        hostname="web.default.svc.cluster.local",
        addresses=(NetworkAddress(address="10.96.0.10"), NetworkAddress(address="fd00::10")),
        ports=(Port(service_port=80, target_port=0),),
        load_balancing=LoadBalancing(unhealthy_too=unhealthy_too),
    )
    workload = Workload(
        uid="a",
        name="a",
        namespace="default",
        addresses=("10.244.1.2", "fd00::2"),
        services={service.key: (Port(service_port=80, target_port=8080),)},
        healthy=healthy,
    )
    return Mesh(workloads={"a": workload}, services={service.key: service})


def test_endpoints_are_of_the_address_family() -> None:
    assert virtual_ports(mesh()) == (
        VirtualPort(address="10.96.0.10", port=80, endpoints=(("10.244.1.2", 8080),)),
        VirtualPort(address="fd00::10", port=80, endpoints=(("fd00::2", 8080),)),
    )


def test_only_ready_pods_unless_the_service_wants_all() -> None:
    assert all(not port.endpoints for port in virtual_ports(mesh(healthy=False)))
    assert all(port.endpoints for port in virtual_ports(mesh(healthy=False, unhealthy_too=True)))


def test_rules() -> None:
    rules = ruleset(virtual_ports(mesh()))
    assert "ip daddr 10.96.0.10 meta l4proto { tcp, udp } th dport 80 dnat ip to numgen random mod 1" in rules
    assert "map { 0 : fd00::2 . 8080 }" in rules
    assert "reject" not in rules


def test_a_service_without_endpoints_refuses() -> None:
    rules = ruleset([VirtualPort(address="10.96.0.10", port=80, endpoints=())])
    assert "ip daddr 10.96.0.10 tcp dport 80 reject with tcp reset" in rules
    assert "dnat" not in rules.replace("ct status dnat", "")


def test_equal_meshes_give_equal_rules() -> None:
    assert ruleset(virtual_ports(mesh())) == ruleset(virtual_ports(mesh()))


def test_entries_are_left_to_the_mesh() -> None:
    entry = Service(
        name="api",
        namespace="default",
        hostname="api.example.com",
        addresses=(NetworkAddress(address="203.0.113.7"),),
        ports=(Port(service_port=443, target_port=443),),
    )
    assert virtual_ports(Mesh(services={entry.key: entry})) == ()
