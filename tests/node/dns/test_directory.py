from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidestep.mesh.model import NetworkAddress, Service, Workload
from sidestep.node.dns.directory import Directory

HOST = "server.shop.svc.cluster.local"
SERVICE = Service(name="server", namespace="shop", hostname=HOST, addresses=(NetworkAddress(address="10.96.0.1"),))
POD = Workload(
    uid="Kubernetes//Pod/shop/a", name="a", namespace="shop", addresses=("10.244.1.5",), services={SERVICE.key: ()}
)


def test_put_find_remove() -> None:
    directory = Directory()
    directory.put(SERVICE)
    directory.put(POD)
    assert directory.service(HOST, "other") == SERVICE
    assert list(directory.workloads(SERVICE)) == [POD]
    assert directory.namespace_at("10.244.1.5") == "shop"
    directory.remove(SERVICE.key)
    directory.remove(POD.uid)
    assert directory.service(HOST, "other") is None
    assert list(directory.workloads(SERVICE)) == []
    assert directory.namespace_at("10.244.1.5") == ""


def test_an_equal_resource_changes_nothing() -> None:
    directory = Directory()
    directory.put(POD)
    before = directory.generation
    directory.put(POD)
    directory.remove("unknown")
    assert directory.generation == before


def test_only_what_may_change_an_answer_counts() -> None:
    directory = Directory()
    directory.put(SERVICE)
    before = directory.generation
    directory.put(POD)
    directory.remove(POD.uid)
    assert directory.generation == before
    directory.put(Service(name="server", namespace="shop", hostname=HOST))
    before = directory.generation
    directory.put(POD)
    assert directory.generation > before
    before = directory.generation
    directory.remove(POD.uid)
    assert directory.generation > before


def test_an_address_that_moved_stays_with_its_new_owner() -> None:
    directory = Directory()
    directory.put(POD)
    directory.put(Workload(uid="Kubernetes//Pod/other/b", name="b", namespace="other", addresses=("10.244.1.5",)))
    directory.remove(POD.uid)
    assert directory.namespace_at("10.244.1.5") == "other"


def test_a_node_address_has_no_namespace() -> None:
    directory = Directory()
    directory.put(Workload(uid="u", name="b", namespace="other", addresses=("172.30.0.11",), host_network=True))
    assert directory.namespace_at("172.30.0.11") == ""


SERVICES = st.builds(
    lambda namespace, host, private: Service(
        name="s", namespace=namespace, hostname=host, private=private, addresses=(NetworkAddress(address="10.0.0.1"),)
    ),
    st.sampled_from(["a", "b"]),
    st.sampled_from(["x.example", "y.example"]),
    st.booleans(),
)


@given(st.lists(st.tuples(st.booleans(), SERVICES), max_size=20))
def test_history_does_not_matter(steps: list[tuple[bool, Service]]) -> None:
    directory = Directory()
    current: dict[str, Service] = {}
    for is_put, service in steps:
        if is_put:
            directory.put(service)
            current[service.key] = service
        else:
            directory.remove(service.key)
            current.pop(service.key, None)
    fresh = Directory()
    for service in current.values():
        fresh.put(service)
    for host in ("x.example", "y.example"):
        for namespace in ("a", "b", "c"):
            assert directory.service(host, namespace) == fresh.service(host, namespace)


def test_a_pod_keeps_an_address_that_an_entry_names_as_well() -> None:
    directory = Directory()
    pod = Workload(uid=POD.uid, name="a", namespace="shop", node="node-1", addresses=("10.244.1.5",))
    entry = Workload(uid="entry", name="entry", namespace="other", addresses=("10.244.1.5",))
    directory.put(pod)
    directory.put(entry)
    assert directory.namespace_at("10.244.1.5") == "shop"
    directory.remove(pod.uid)
    assert directory.namespace_at("10.244.1.5") == "other"
    directory.put(pod)
    directory.remove(entry.uid)
    assert directory.namespace_at("10.244.1.5") == "shop"


def test_what_is_above_a_host_is_known_for_as_long_as_there_is_a_host() -> None:
    directory = Directory()
    other = Service(name="Server", namespace="other", hostname=HOST.upper())
    directory.put(SERVICE)
    directory.put(other)
    assert [directory.has_below(name) for name in ("shop.svc.cluster.local", "local", HOST)] == [True, True, False]
    directory.remove(SERVICE.key)
    assert directory.has_below("shop.svc.cluster.local")
    directory.remove(other.key)
    assert not directory.has_below("local")
