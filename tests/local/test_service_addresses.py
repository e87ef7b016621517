from ipaddress import IPv4Network, IPv6Network
from typing import Any

import pytest

from sidestep.local.errors import BadDataError
from sidestep.local.service_addresses import ServiceRanges, addresses_of, with_addresses


def ranges(*taken: str, ipv6: bool = True) -> ServiceRanges:
    six = IPv6Network("fd00:0:0:ffff::/112") if ipv6 else None
    return ServiceRanges(IPv4Network("10.96.0.0/16"), six, taken)


def service(**spec: Any) -> dict[str, Any]:
    return {"kind": "Service", "metadata": {"name": "s"}, "spec": spec}


def test_single_stack_by_default() -> None:
    made = with_addresses(service(), ranges())
    assert made["spec"]["clusterIPs"] == ["10.96.0.10"]
    assert made["spec"]["ipFamilies"] == ["IPv4"]


def test_taken_addresses_are_left_alone() -> None:
    assert addresses_of(with_addresses(service(), ranges("10.96.0.10", "10.96.0.11"))) == ("10.96.0.12",)


@pytest.mark.parametrize("policy", ["PreferDualStack", "RequireDualStack"])
def test_dual_stack(policy: str) -> None:
    made = with_addresses(service(ipFamilyPolicy=policy), ranges())
    assert addresses_of(made) == ("10.96.0.10", "fd00:0:0:ffff::a")
    assert made["spec"]["ipFamilies"] == ["IPv4", "IPv6"]


def test_ipv6_first() -> None:
    assert addresses_of(with_addresses(service(ipFamilies=["IPv6"]), ranges())) == ("fd00:0:0:ffff::a",)


def test_prefer_is_content_with_one_family() -> None:
    assert addresses_of(with_addresses(service(ipFamilyPolicy="PreferDualStack"), ranges(ipv6=False))) == (
        "10.96.0.10",
    )


def test_require_is_not() -> None:
    with pytest.raises(BadDataError, match="IPv6"):
        with_addresses(service(ipFamilyPolicy="RequireDualStack"), ranges(ipv6=False))


@pytest.mark.parametrize("spec", [{"clusterIP": "None"}, {"type": "ExternalName", "externalName": "example.com"}])
def test_headless_and_external_names_get_none(spec: dict[str, str]) -> None:
    assert with_addresses(service(**spec), ranges()) == service(**spec)


def test_a_chosen_address_is_kept_and_applying_again_changes_nothing() -> None:
    made = with_addresses(service(clusterIP="10.96.9.9"), ranges())
    assert addresses_of(made) == ("10.96.9.9",)
    assert with_addresses(made, ranges("10.96.9.9")) == made
