"""Service (v1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

import msgspec

from sidestep.api import validate
from sidestep.api.kubernetes.container import Protocol
from sidestep.api.meta import Finding, Model, Path, PortNumber, Resource

ServiceType = Literal["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]
IpFamily = Literal["IPv4", "IPv6"]
HEADLESS = "None"


class ServicePort(Model, frozen=True, kw_only=True):
    """One port of a Service."""

    port: PortNumber
    name: str = ""
    target_port: int | str | None = None
    """A number, or a name that each pod maps to a number; None: `port`."""
    protocol: Protocol = "TCP"
    app_protocol: str = ""
    node_port: int = 0


class ServiceSpec(Model, frozen=True, kw_only=True):
    """Which pods, at which ports and addresses."""

    ports: tuple[ServicePort, ...] = ()
    selector: Mapping[str, str] = {}
    """Empty: its endpoints come from EndpointSlices."""
    type: ServiceType = "ClusterIP"
    cluster_ip: str = msgspec.field(default="", name="clusterIP")
    """`None` for a headless Service."""
    cluster_ips: tuple[str, ...] = msgspec.field(default=(), name="clusterIPs")
    external_name: str = ""
    ip_families: tuple[IpFamily, ...] = ()
    ip_family_policy: Literal["SingleStack", "PreferDualStack", "RequireDualStack"] | None = None
    publish_not_ready_addresses: bool = False
    internal_traffic_policy: Literal["Cluster", "Local"] = "Cluster"
    traffic_distribution: Literal["PreferClose", "PreferSameZone", "PreferSameNode"] | None = None


class Service(Resource, frozen=True, kw_only=True):
    """A name and addresses for a set of pods."""

    KIND: ClassVar[str] = "Service"
    API_VERSION: ClassVar[str] = "v1"

    spec: ServiceSpec = ServiceSpec()

    @property
    def headless(self) -> bool:
        return self.spec.cluster_ip == HEADLESS

    @property
    def addresses(self) -> tuple[str, ...]:
        """Its virtual addresses; empty if it is headless or has none yet."""
        found = (self.spec.cluster_ip, *self.spec.cluster_ips)
        return tuple(dict.fromkeys(address for address in found if address and address != HEADLESS))

    def name_findings(self) -> Iterator[Finding]:
        yield from validate.service_name(self.name, ("metadata", "name"))

    def value_findings(self) -> Iterator[Finding]:
        yield from validate.labels(self.spec.selector, ("spec", "selector"))
        yield from _address_findings(self.spec)
        if self.spec.type == "ExternalName":
            yield from validate.host(self.spec.external_name.removesuffix("."), ("spec", "externalName"))
        elif not self.spec.ports and not self.headless:
            yield Finding(("spec", "ports"), "empty; a Service that is not headless needs at least one port")
        for index, port in enumerate(self.spec.ports):
            yield from _port_findings(port, self.spec.ports[:index], ("spec", "ports", index))
        if len(self.spec.ports) > 1:
            for index, port in enumerate(self.spec.ports):
                if not port.name:
                    yield Finding(("spec", "ports", index, "name"), "missing; with several ports each needs a name")


def _address_findings(spec: ServiceSpec) -> Iterator[Finding]:
    if spec.cluster_ip not in ("", HEADLESS):
        yield from validate.address(spec.cluster_ip, ("spec", "clusterIP"))
    for index, address in enumerate(spec.cluster_ips):
        if address != HEADLESS:
            yield from validate.address(address, ("spec", "clusterIPs", index))
    if spec.cluster_ips and spec.cluster_ip and spec.cluster_ips[0] != spec.cluster_ip:
        yield Finding(("spec", "clusterIPs", 0), f"expected clusterIP, which is {spec.cluster_ip}; make them equal")


def _port_findings(port: ServicePort, before: tuple[ServicePort, ...], path: Path) -> Iterator[Finding]:
    yield from validate.port(port.port, (*path, "port"))
    if port.target_port is not None:
        yield from validate.port_or_name(port.target_port, (*path, "targetPort"))
    if port.node_port:
        yield from validate.port(port.node_port, (*path, "nodePort"))
    if port.name:
        yield from validate.label_name(port.name, (*path, "name"))
        if port.name in {other.name for other in before}:
            yield Finding((*path, "name"), f"{port.name!r} names a port before it too; give each its own name")
    if (port.port, port.protocol) in {(other.port, other.protocol) for other in before}:
        yield Finding((*path, "port"), f"{port.protocol} port {port.port} is there already; leave out one of the two")
