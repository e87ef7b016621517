"""WorkloadEntry (networking.istio.io): a workload that is no pod, and the endpoints of a ServiceEntry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from sidestep.api import validate
from sidestep.api.meta import Finding, Path, PortNumber, Resource, StrictModel

_UNIX = "unix://"


class WorkloadEntrySpec(StrictModel, frozen=True, kw_only=True):
    """One workload by address or DNS name."""

    address: str = ""
    """An IP address, a DNS name or `unix:///path`; empty with a `network` that has a gateway."""
    ports: Mapping[str, PortNumber] = {}
    """By the name of a service's port: where this workload listens for it."""
    labels: Mapping[str, str] = {}
    network: str = ""
    locality: str = ""
    """`region/zone/subzone`, the latter parts optional."""
    weight: int = 0
    """0 means 1."""
    service_account: str = ""


class WorkloadEntry(Resource, frozen=True, kw_only=True):
    """A workload outside of Kubernetes."""

    KIND: ClassVar[str] = "WorkloadEntry"
    API_VERSION: ClassVar[str] = "networking.istio.io/v1"

    spec: WorkloadEntrySpec

    def value_findings(self) -> Iterator[Finding]:
        yield from workload_findings(self.spec, ("spec",))


def workload_findings(entry: WorkloadEntrySpec, path: Path) -> Iterator[Finding]:
    """Checks one, alone or in a ServiceEntry."""
    yield from _address_findings(entry, path)
    for name, port in entry.ports.items():
        yield from validate.port(port, (*path, "ports", name))
    yield from validate.labels(entry.labels, (*path, "labels"))
    if entry.service_account:
        yield from validate.name(entry.service_account, (*path, "serviceAccount"))
    if not 0 <= entry.weight < 2**32:
        yield Finding((*path, "weight"), f"expected an integer from 0 to {2**32 - 1}, got {entry.weight}")
    parts = entry.locality.split("/")
    if entry.locality and (len(parts) > 3 or not all(parts)):
        yield Finding((*path, "locality"), f"{validate.shown(entry.locality)} is not region/zone/subzone")


def _address_findings(entry: WorkloadEntrySpec, path: Path) -> Iterator[Finding]:
    if entry.address.startswith(_UNIX):
        if not entry.address.removeprefix(_UNIX).startswith(("/", "@")):
            yield Finding((*path, "address"), "the path of a socket is absolute; write unix:///run/server.sock")
        if entry.ports:
            yield Finding((*path, "ports"), "a Unix socket has no ports; leave them out")
    elif entry.address:
        if not validate.is_address(entry.address):
            yield from validate.host(entry.address, (*path, "address"))
    elif not entry.network:
        yield Finding((*path, "address"), "missing; write an IP address or a DNS name")
