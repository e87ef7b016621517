"""A service together with what its endpoints are found by, on the way from resources to the model."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from sidestep.api.meta import ResourceKey
from sidestep.mesh.model import Port, Service
from sidestep.mesh.settings import NEWEST


class PortDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """A service port as its manifest names it."""

    port: Port
    name: str = ""
    target_name: str = ""
    """Set: each pod's own port of that name is meant."""


class ServiceDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """A service, where it is from, and which workloads serve it."""

    service: Service
    source: ResourceKey
    created: datetime | None = None
    ports: tuple[PortDefinition, ...] = ()
    selector: Mapping[str, str] = {}
    """Labels of the workloads that serve it; empty: endpoints are told otherwise."""

    @property
    def key(self) -> str:
        """The service's."""
        return self.service.key

    @property
    def age(self) -> tuple[datetime, str, str]:
        """Sorts the oldest first; without a date it counts as the newest."""
        return (self.created or NEWEST, self.source.namespace, self.source.name)


def ports_by_number(definition: ServiceDefinition, named: Mapping[str, int]) -> tuple[Port, ...]:
    """The ports at which a workload serves it, given the workload's own named ports.

    A port whose target the workload does not name is left out.
    """
    found = []
    for candidate in definition.ports:
        if not candidate.target_name:
            found.append(candidate.port)
        elif candidate.target_name in named:
            found.append(_at(candidate.port, named[candidate.target_name]))
    return tuple(found)


def ports_by_name(definition: ServiceDefinition, named: Mapping[str, int]) -> tuple[Port, ...]:
    """The same for a workload that maps names of service ports to its own numbers (WorkloadEntry, endpoints)."""
    found = []
    for candidate in definition.ports:
        number = named.get(candidate.name) or named.get(candidate.target_name)
        if number:
            found.append(_at(candidate.port, number))
        elif not candidate.target_name:
            found.append(candidate.port)
    return tuple(found)


def _at(port: Port, target: int) -> Port:
    return Port(service_port=port.service_port, target_port=target, application_protocol=port.application_protocol)
