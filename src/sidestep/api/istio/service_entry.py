"""ServiceEntry (networking.istio.io): hosts that Kubernetes does not know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from sidestep.api import validate
from sidestep.api.istio.selector import LabelsSelector
from sidestep.api.istio.workload_entry import WorkloadEntrySpec, workload_findings
from sidestep.api.meta import Finding, Model, Path, PortNumber, Resource, StrictModel

Location = Literal["MESH_EXTERNAL", "MESH_INTERNAL"]
Resolution = Literal["NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"]
PortProtocol = Literal["HTTP", "HTTPS", "GRPC", "GRPC-WEB", "HTTP2", "MONGO", "MYSQL", "REDIS", "TCP", "TLS", "UDP"]


class ServiceEntryPort(StrictModel, frozen=True, kw_only=True):
    """A port of all the entry's hosts."""

    number: PortNumber
    name: str
    protocol: str = ""
    """One of `PortProtocol` in any case; empty: TCP."""
    target_port: int = 0
    """0: `number`."""


class ServiceEntrySpec(StrictModel, frozen=True, kw_only=True):
    """Hosts, ports, and where their endpoints are found."""

    hosts: tuple[str, ...]
    addresses: tuple[str, ...] = ()
    """Virtual addresses or blocks; empty: allocated by the mesh."""
    ports: tuple[ServiceEntryPort, ...] = ()
    location: Location = "MESH_EXTERNAL"
    resolution: Resolution = "NONE"
    endpoints: tuple[WorkloadEntrySpec, ...] = ()
    workload_selector: LabelsSelector | None = None
    export_to: tuple[str, ...] = ()
    subject_alt_names: tuple[str, ...] = ()


class AllocatedAddress(Model, frozen=True, kw_only=True):
    """An address that the mesh allocated."""

    value: str = ""
    host: str = ""


class ServiceEntryStatus(Model, frozen=True, kw_only=True):
    """What the mesh made of it."""

    addresses: tuple[AllocatedAddress, ...] = ()


class ServiceEntry(Resource, frozen=True, kw_only=True):
    """Services that are no Kubernetes Services."""

    KIND: ClassVar[str] = "ServiceEntry"
    API_VERSION: ClassVar[str] = "networking.istio.io/v1"

    spec: ServiceEntrySpec
    status: ServiceEntryStatus = ServiceEntryStatus()

    def value_findings(self) -> Iterator[Finding]:
        spec, path = self.spec, ("spec",)
        if not spec.hosts:
            yield Finding((*path, "hosts"), "empty; a ServiceEntry needs at least one host")
        for index, host in enumerate(spec.hosts):
            yield from validate.host(host, (*path, "hosts", index), wildcard=True)
        for index, address in enumerate(spec.addresses):
            yield from validate.block(address, (*path, "addresses", index))
        for index, port in enumerate(spec.ports):
            yield from _port_findings(port, spec.ports[:index], (*path, "ports", index))
        for index, endpoint in enumerate(spec.endpoints):
            yield from workload_findings(endpoint, (*path, "endpoints", index))
        if spec.workload_selector is not None:
            yield from validate.labels(spec.workload_selector.labels, (*path, "workloadSelector", "labels"))
        yield from _resolution_findings(spec)


def _port_findings(port: ServiceEntryPort, before: tuple[ServiceEntryPort, ...], path: Path) -> Iterator[Finding]:
    yield from validate.port(port.number, (*path, "number"))
    if port.target_port:
        yield from validate.port(port.target_port, (*path, "targetPort"))
    if not port.name:
        yield Finding((*path, "name"), "empty; every port of a ServiceEntry needs a name")
    if port.name in {other.name for other in before}:
        yield Finding((*path, "name"), f"{port.name!r} names a port before it too; give each its own name")
    if port.number in {other.number for other in before}:
        yield Finding((*path, "number"), f"port {port.number} is there already; leave out one of the two")
    known = PortProtocol.__args__  # type: ignore[attr-defined] # what typing calls a Literal's values
    if port.protocol and port.protocol.upper() not in known:
        yield Finding((*path, "protocol"), f"expected one of {', '.join(known)}, got {validate.shown(port.protocol)}")


def _resolution_findings(spec: ServiceEntrySpec) -> Iterator[Finding]:
    if spec.endpoints and spec.workload_selector is not None:
        yield Finding(("spec", "workloadSelector"), "there are endpoints as well; leave out one of the two")
    if spec.endpoints and spec.resolution in ("NONE", "DYNAMIC_DNS"):
        yield Finding(
            ("spec", "endpoints"),
            f"with resolution {spec.resolution} clients go where they aim; leave endpoints out, or use STATIC or DNS",
        )
    for index, endpoint in enumerate(spec.endpoints):
        if spec.resolution == "STATIC" and endpoint.address and not _is_static(endpoint.address):
            yield Finding(
                ("spec", "endpoints", index, "address"),
                f"{validate.shown(endpoint.address)} is no IP address; write one, or use resolution DNS",
            )
    wildcard = any("*" in host for host in spec.hosts)
    if wildcard and not spec.endpoints and spec.resolution in ("DNS", "DNS_ROUND_ROBIN"):
        yield Finding(
            ("spec", "resolution"), f"{spec.resolution} cannot resolve a wildcard; give endpoints, or use NONE"
        )


def _is_static(address: str) -> bool:
    return validate.is_address(address) or address.startswith("unix://")
