import pytest

from sidestep.local.addresses import AddressPool
from sidestep.local.errors import OperatingSystemError
from sidestep.local.instance import Instance, node_names


def pool(*, ipv6: bool = True) -> AddressPool:
    return AddressPool(Instance(id="abcdef", slot=0, nodes=node_names(1), ipv6=ipv6).node("node-1"))


def test_pairs_have_the_same_number() -> None:
    four, six = pool().take()
    assert (str(four), str(six)) == ("10.244.1.2", "fdab:cdef:0:1001::2")
    assert pool(ipv6=False).take()[1] is None


def test_an_address_is_reused_late() -> None:
    addresses = pool()
    first, _ = addresses.take()
    addresses.give_back(first)
    assert addresses.take()[0] != first


def test_a_full_node_says_so_and_recovers() -> None:
    addresses = pool()
    taken = [addresses.take()[0] for _ in range(253)]
    assert len(set(taken)) == 253
    with pytest.raises(OperatingSystemError, match="node-1 is full"):
        addresses.take()
    addresses.give_back(taken[100])
    assert addresses.take()[0] == taken[100]
