"""EndpointSlice (discovery.k8s.io/v1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from sidestep.api import validate
from sidestep.api.kubernetes.container import Protocol
from sidestep.api.meta import Finding, Model, Resource

SERVICE_LABEL = "kubernetes.io/service-name"


class EndpointConditions(Model, frozen=True, kw_only=True):
    """None means unknown, which counts as ready."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class ObjectReference(Model, frozen=True, kw_only=True):
    """The resource behind an endpoint, usually a Pod."""

    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""


class Endpoint(Model, frozen=True, kw_only=True):
    """One backend; its addresses are interchangeable, and consumers use the first."""

    addresses: tuple[str, ...]
    conditions: EndpointConditions = EndpointConditions()
    hostname: str = ""
    node_name: str = ""
    zone: str = ""
    target_ref: ObjectReference | None = None

    @property
    def ready(self) -> bool:
        return self.conditions.ready is not False


class EndpointPort(Model, frozen=True, kw_only=True):
    """Its name is that of the Service's port. `port` None: all ports."""

    name: str = ""
    port: int | None = None
    protocol: Protocol = "TCP"
    app_protocol: str = ""


class EndpointSlice(Resource, frozen=True, kw_only=True):
    """Endpoints of a Service, given rather than selected. It has no `spec`."""

    KIND: ClassVar[str] = "EndpointSlice"
    API_VERSION: ClassVar[str] = "discovery.k8s.io/v1"

    address_type: Literal["IPv4", "IPv6", "FQDN"]
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[EndpointPort, ...] = ()

    @property
    def service_name(self) -> str:
        """The Service of the same namespace to which it belongs; empty if none."""
        return self.metadata.labels.get(SERVICE_LABEL, "")

    def value_findings(self) -> Iterator[Finding]:
        for index, endpoint in enumerate(self.endpoints):
            path = ("endpoints", index, "addresses")
            if not endpoint.addresses:
                yield Finding(path, "empty; an endpoint needs at least one address")
            for position, address in enumerate(endpoint.addresses):
                check = validate.host if self.address_type == "FQDN" else validate.address
                yield from check(address, (*path, position))
                if validate.is_address(address) and (":" in address) != (self.address_type == "IPv6"):
                    yield Finding((*path, position), f"{address} is not of addressType {self.address_type}")
        for index, port in enumerate(self.ports):
            if port.port is not None:
                yield from validate.port(port.port, ("ports", index, "port"))
            if port.name:
                yield from validate.label_name(port.name, ("ports", index, "name"))
