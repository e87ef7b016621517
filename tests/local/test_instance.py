"""The address plan."""

from ipaddress import IPv4Network
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestep.local.errors import BadDataError, OperatingSystemError, UsageError
from sidestep.local.instance import MAXIMUM_NODES, Instance, free_slot, load, node_names, pod_link

ids = st.integers(0, 2**24 - 1).map("{:06x}".format)


def make(identifier: str = "abcdef", slot: int = 0, nodes: int = 2) -> Instance:
    return Instance(id=identifier, slot=slot, nodes=node_names(nodes))


def test_names_fit_into_link_names() -> None:
    instance = make(nodes=MAXIMUM_NODES)
    links = [instance.bridge, pod_link("uid"), *(plan.host_link for plan in instance.node_plans())]
    assert max(map(len, links)) <= 15


def test_plan_of_the_second_node() -> None:
    plan = make(slot=3).node("node-2")
    assert str(plan.address) == "172.30.3.12"
    assert str(plan.pods) == "10.241.2.0/24"
    assert str(plan.gateway) == "10.241.2.1"
    assert str(plan.instance.service_range) == "10.99.0.0/16"
    assert str(plan.instance.host_address) == "172.30.3.1"
    assert str(plan.pods6) == "fdab:cdef:0:1002::/64"


@given(identifier=ids, slot=st.integers(0, 59), nodes=st.integers(1, MAXIMUM_NODES))
def test_ranges_of_an_instance_do_not_overlap(identifier: str, slot: int, nodes: int) -> None:
    instance = make(identifier, slot, nodes)
    last = instance.node_plans()[-1]
    assert last.pods.subnet_of(instance.pod_range)
    assert last.pods6.subnet_of(instance.pod_range6)
    for four, other in combinations([instance.underlay, instance.pod_range, instance.service_range], 2):
        assert not four.overlaps(other)
    for six, other6 in combinations([instance.underlay6, instance.pod_range6, instance.service_range6], 2):
        assert not six.overlaps(other6)
    addresses = {plan.address for plan in instance.node_plans()} | {instance.host_address}
    assert len(addresses) == nodes + 1


@given(st.lists(st.integers(0, 58), max_size=20))
def test_the_first_free_slot_is_taken(taken: list[int]) -> None:
    routes = [IPv4Network(f"172.30.{slot}.0/24") for slot in taken]
    assert free_slot(routes) == next(slot for slot in range(60) if slot not in taken)


def test_a_default_route_takes_nothing() -> None:
    assert free_slot([IPv4Network("0.0.0.0/0")]) == 0


def test_no_free_slot_is_said_so() -> None:
    with pytest.raises(OperatingSystemError, match="no free address range"):
        free_slot([IPv4Network("172.16.0.0/12")])


@pytest.mark.parametrize("count", [0, -1, MAXIMUM_NODES + 1])
def test_a_silly_number_of_nodes_is_refused(count: int) -> None:
    with pytest.raises(UsageError, match="--nodes"):
        node_names(count)


def test_load(tmp_path: Path) -> None:
    import msgspec

    assert load(tmp_path / "none.json") is None
    (tmp_path / "instance.json").write_bytes(msgspec.json.encode(make()))
    assert load(tmp_path / "instance.json") == make()
    (tmp_path / "instance.json").write_text("{")
    with pytest.raises(BadDataError, match="damaged"):
        load(tmp_path / "instance.json")
