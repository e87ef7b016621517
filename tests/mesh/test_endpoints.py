from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.mesh.strategies import balancings, localities, places, workloads

from sidestep.mesh.endpoints import NodeLocality, RankedEndpoint, ranked_endpoints
from sidestep.mesh.model import BalancingMode, LoadBalancing, Locality, Port, Scope, Service, Workload

PORT = Port(service_port=80, target_port=8080)
KEY = "shop/front.shop.svc.cluster.local"
HERE = NodeLocality(node="node-1", locality=Locality(region="r", zone="z1"), cluster_id="c")


def service(balancing: LoadBalancing = LoadBalancing()) -> Service:  # noqa: B008 - frozen
    namespace, hostname = KEY.split("/")
    return Service(name="front", namespace=namespace, hostname=hostname, ports=(PORT,), load_balancing=balancing)


def workload(name: str, **fields: object) -> Workload:
    known: dict[str, object] = {"services": {KEY: (PORT,)}, "addresses": ("10.0.0.1",), **fields}
    return Workload(uid=name, name=name, namespace="shop", **known)  # type: ignore[arg-type]


def names(endpoints: tuple[RankedEndpoint, ...]) -> list[tuple[str, int]]:
    return [(endpoint.workload.name, endpoint.priority) for endpoint in endpoints]


NEAR = workload("near", node="node-1", locality=Locality(region="r", zone="z1"))
ZONE = workload("zone", node="node-2", locality=Locality(region="r", zone="z1"))
REGION = workload("region", node="node-3", locality=Locality(region="r", zone="z2"))
FAR = workload("far", node="node-4", locality=Locality(region="s", zone="z1"))
ALL = [FAR, REGION, ZONE, NEAR]


def test_without_preference_all_are_equal() -> None:
    assert names(ranked_endpoints(service(), PORT, ALL, HERE)) == [("far", 0), ("near", 0), ("region", 0), ("zone", 0)]


def test_failover_ranks_by_leading_scopes() -> None:
    balancing = LoadBalancing(mode=BalancingMode.FAILOVER, preference=(Scope.REGION, Scope.ZONE, Scope.NODE))
    found = names(ranked_endpoints(service(balancing), PORT, ALL, HERE))
    assert found == [("near", 0), ("zone", 1), ("region", 2), ("far", 3)], (
        "far's zone does not count: its region differs"
    )


def test_failover_priorities_have_no_gaps() -> None:
    balancing = LoadBalancing(mode=BalancingMode.FAILOVER, preference=(Scope.REGION, Scope.ZONE, Scope.NODE))
    assert names(ranked_endpoints(service(balancing), PORT, [FAR, NEAR], HERE)) == [("near", 0), ("far", 1)]


def test_strict_keeps_only_those_that_agree_in_all() -> None:
    balancing = LoadBalancing(mode=BalancingMode.STRICT, preference=(Scope.NODE,))
    assert names(ranked_endpoints(service(balancing), PORT, ALL, HERE)) == [("near", 0)]


def test_unready_endpoints_are_left_out_unless_published() -> None:
    items = [NEAR, workload("down", healthy=False)]
    assert names(ranked_endpoints(service(), PORT, items, HERE)) == [("near", 0)]
    published = service(LoadBalancing(unhealthy_too=True))
    assert names(ranked_endpoints(published, PORT, items, HERE)) == [("down", 0), ("near", 0)]


def test_weights_are_capacities_and_zero_takes_nothing() -> None:
    items = [workload("big", capacity=5), workload("off", capacity=0)]
    found = ranked_endpoints(service(), PORT, items, HERE)
    assert [(endpoint.workload.name, endpoint.weight) for endpoint in found] == [("big", 5)]


def test_what_cannot_be_dialled_is_left_out() -> None:
    items = [workload("nowhere", addresses=()), workload("by-name", addresses=(), hostname="db.example.com")]
    assert names(ranked_endpoints(service(), PORT, items, HERE)) == [("by-name", 0)]


def test_target_ports_are_the_workloads_own() -> None:
    named = Port(service_port=80, target_port=0)
    items = [
        workload("own", services={KEY: (Port(service_port=80, target_port=9999),)}),
        workload("none", services={KEY: ()}),
        workload("unknown", services={KEY: (named,)}),
        workload("stranger", services={}),
    ]
    found = ranked_endpoints(service(), named, items, HERE)
    assert [(endpoint.workload.name, endpoint.target_port) for endpoint in found] == [("own", 9999)]


def test_a_workload_can_be_the_source() -> None:
    balancing = LoadBalancing(mode=BalancingMode.STRICT, preference=(Scope.NODE,))
    assert names(ranked_endpoints(service(balancing), PORT, ALL, ZONE)) == [("zone", 0)]


serving = st.lists(
    st.builds(
        workload,
        st.sampled_from("abcdefgh"),
        node=places,
        locality=localities,
        cluster_id=places,
        network=places,
        healthy=st.booleans(),
        capacity=st.integers(0, 3),
    ),
    max_size=6,
    unique_by=lambda item: item.uid,
)
sources = st.builds(NodeLocality, node=places, locality=localities, network=places, cluster_id=places)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(serving, balancings, sources | workloads)
def test_invariants(items: list[Workload], balancing: LoadBalancing, source: NodeLocality | Workload) -> None:
    found = ranked_endpoints(service(balancing), PORT, items, source)
    assert found == ranked_endpoints(service(balancing), PORT, items[::-1], source), "order of arrival does not matter"
    assert sorted({endpoint.priority for endpoint in found}) == list(range(len({e.priority for e in found})))
    assert all(endpoint.weight > 0 and endpoint.target_port for endpoint in found)
    assert all(endpoint.workload.healthy or balancing.unhealthy_too for endpoint in found)
    usable = [item for item in items if item.capacity and (item.healthy or balancing.unhealthy_too)]
    if balancing.mode is not BalancingMode.STRICT:
        assert {endpoint.workload.uid for endpoint in found} == {item.uid for item in usable}
    if balancing.mode is not BalancingMode.FAILOVER:
        assert all(endpoint.priority == 0 for endpoint in found)
    assert [endpoint.priority for endpoint in found] == sorted(endpoint.priority for endpoint in found)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(serving, st.lists(st.sampled_from(Scope), max_size=4, unique=True), sources)
def test_strict_is_full_rank_of_failover(items: list[Workload], preference: list[Scope], source: NodeLocality) -> None:
    failover = LoadBalancing(mode=BalancingMode.FAILOVER, preference=tuple(preference))
    strict = LoadBalancing(mode=BalancingMode.STRICT, preference=tuple(preference))
    exact = {endpoint.workload.uid for endpoint in ranked_endpoints(service(strict), PORT, items, source)}
    first = [e.workload.uid for e in ranked_endpoints(service(failover), PORT, items, source) if e.priority == 0]
    if exact:
        assert exact == set(first)
