"""Cluster addresses of Services, as Kubernetes gives them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

from sidestep.local.errors import BadDataError, OperatingSystemError

_FIRST = 10
"""The first addresses of a range are left to those who pick one by hand."""


class ServiceRanges:
    """The ranges of an instance, and what of them is taken."""

    def __init__(self, ipv4: IPv4Network, ipv6: IPv6Network | None, taken: Iterable[str]) -> None:
        self._ranges: dict[str, IPv4Network | IPv6Network] = {"IPv4": ipv4}
        if ipv6 is not None:
            self._ranges["IPv6"] = ipv6
        self._taken = set(taken)

    def allocate(self, family: str) -> str:
        """A free address."""
        network = self._ranges.get(family)
        if network is None:
            raise BadDataError(f"spec.ipFamilies: this host does not do {family}")
        for number in range(_FIRST, min(network.num_addresses - 1, 65_535)):
            address = str(network[number])
            if address not in self._taken:
                self._taken.add(address)
                return address
        raise OperatingSystemError(f"all addresses of {network} are taken by Services")

    @property
    def families(self) -> tuple[str, ...]:
        return tuple(self._ranges)


def with_addresses(document: Mapping[str, Any], ranges: ServiceRanges) -> dict[str, Any]:
    """The Service with cluster addresses; unchanged if it has or wants none (headless, ExternalName)."""
    spec = dict(document.get("spec") or {})
    if spec.get("type") == "ExternalName" or spec.get("clusterIP") == "None":
        return dict(document)
    given = [address for address in (spec.get("clusterIPs") or [spec.get("clusterIP")]) if address]
    families = _families(spec, given, ranges)
    addresses = given + [ranges.allocate(family) for family in families[len(given) :]]
    spec |= {
        "clusterIP": addresses[0],
        "clusterIPs": addresses,
        "ipFamilies": families,
        "ipFamilyPolicy": spec.get("ipFamilyPolicy") or ("SingleStack" if len(families) == 1 else "RequireDualStack"),
    }
    return {**document, "spec": spec}


def addresses_of(document: Mapping[str, Any]) -> tuple[str, ...]:
    """The cluster addresses that a Service has."""
    spec = document.get("spec") or {}
    given = spec.get("clusterIPs") or [spec.get("clusterIP")]
    return tuple(address for address in given if address and address != "None")


def _families(spec: Mapping[str, Any], given: list[str], ranges: ServiceRanges) -> list[str]:
    families = [f"IPv{ip_address(address).version}" for address in given]
    wanted = list(spec.get("ipFamilies") or ())
    families += wanted[len(families) :]
    if not families:
        families = ["IPv4"]
    policy = spec.get("ipFamilyPolicy") or ("RequireDualStack" if len(wanted) > 1 else "SingleStack")
    if policy != "SingleStack" and len(families) == 1:
        other = "IPv6" if families[0] == "IPv4" else "IPv4"
        if other in ranges.families or policy == "RequireDualStack":
            families.append(other)
    return families if policy != "SingleStack" else families[: max(1, len(given))]
