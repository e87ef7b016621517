from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidestep.mesh.allocation import allocate, ipv6_of

KEYS = st.lists(st.text("abc./", max_size=4), unique=True, max_size=20)


@given(KEYS)
def test_addresses_are_distinct_and_in_range(keys: list[str]) -> None:
    found = allocate(keys, {})
    assert set(found) == set(keys)
    assert len(set(found.values())) == len(keys)
    for address in found.values():
        assert ipaddress.ip_address(address) in ipaddress.ip_network("240.240.0.0/16")
        assert address not in {"240.240.0.0", "240.240.255.255"}
        assert ipaddress.ip_address(ipv6_of(address)) in ipaddress.ip_network("2001:2::/48")


@given(KEYS, KEYS)
def test_hosts_keep_their_addresses(before: list[str], after: list[str]) -> None:
    first = allocate(before, {})
    second = allocate(after, first)
    for key in set(before) & set(after):
        assert first[key] == second[key]
    assert allocate(after, second) == second


@given(KEYS)
def test_the_same_addresses_come_back_after_a_loss(keys: list[str]) -> None:
    assert allocate(keys[::-1], {}) == allocate(keys, {})


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["", "x", "10.0.0.1", "240.240.0.0", "240.240.0.7"])))
def test_useless_and_doubled_entries_are_replaced(current: dict[str, str]) -> None:
    found = allocate("abcd", current)
    assert len(set(found.values())) == 4
    assert "10.0.0.1" not in found.values()
    if "240.240.0.7" in current.values():
        assert "240.240.0.7" in found.values()


def test_when_the_range_is_full_the_rest_get_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidestep.mesh.allocation._PLACES", 3)
    assert len(allocate("abcde", {})) == 3


def test_ipv6_of_a_foreign_address_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.1"):
        ipv6_of("10.0.0.1")
