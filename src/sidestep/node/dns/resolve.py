"""From a name to addresses: what the mesh answers, and what it leaves to others. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable

import msgspec

from sidestep.mesh.model import BalancingMode, IpFamilies, Service, Workload
from sidestep.node.dns.directory import Directory
from sidestep.node.dns.names import expansions, is_inside, meanings, search_list, wildcards


class Family(enum.IntEnum):
    """An address family."""

    IPV4 = 4
    IPV6 = 6


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks."""

    namespace: str = ""
    """"" when unknown."""
    is_final: bool = False
    """True: nobody else knows names of the cluster's domain, so an unknown one does not exist."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the mesh knows of a name. `addresses` may be empty: the name exists, without this family."""

    owner: str
    """The name that has the addresses; when it is not the name asked for, that one is an alias of it."""
    addresses: tuple[str, ...] = ()
    exists: bool = True


def resolve(
    directory: Directory, name: str, families: frozenset[Family], client: Client, domain: str = "cluster.local"
) -> Answer | None:
    """The answer for `name` (any case, no final dot) in those families; None: not ours, ask others."""
    name = name.lower()
    search = search_list(client.namespace, domain)
    for meaning in meanings(name, search):
        for host in (*expansions(meaning, search), *wildcards(meaning)):
            addresses = _addresses(directory, host, client.namespace)
            if addresses is not None:
                owner = meaning if host.startswith("*.") else host
                return Answer(owner=owner, addresses=tuple(a for a in addresses if _family(a) in families))
    if client.is_final and is_inside(name, domain):
        # A name that exists without having addresses, e.g. of a namespace with services, ends some clients' search.
        return Answer(owner=name, exists=name in {domain, f"svc.{domain}"} or directory.has_below(name))
    return None


def _addresses(directory: Directory, host: str, namespace: str) -> tuple[str, ...] | None:
    """All addresses of `host`; None: no such host here, or not ours to answer."""
    service = directory.service(host, namespace)
    if service is not None:
        return _of_service(service, directory.workloads(service))
    label, _, parent = host.partition(".")
    service = directory.service(parent, namespace)
    if service is None or service.addresses or label == "*":
        return None
    # A pod of a headless service, by its own name.
    named = [workload for workload in directory.workloads(service) if _is_called(workload, label)]
    return _of_workloads(service, named) if any(_is_served(service, workload) for workload in named) else None


def _of_service(service: Service, workloads: Iterable[Workload]) -> tuple[str, ...] | None:
    if service.addresses:
        return tuple(virtual.address for virtual in service.addresses)
    endpoints = tuple(workloads)
    addresses = _of_workloads(service, endpoints)
    if addresses or (service.canonical and not service.hostname.startswith("*.")):
        return addresses
    # A host outside the mesh that got no virtual address: only the outside knows where it is.
    is_elsewhere = (
        service.hostname.startswith("*.")
        or service.load_balancing.mode is BalancingMode.PASSTHROUGH
        or any(workload.hostname and not workload.addresses for workload in endpoints)
    )
    return None if is_elsewhere else addresses


def _of_workloads(service: Service, workloads: Iterable[Workload]) -> tuple[str, ...]:
    """Addresses of those that are ready, in the families of the service, each once."""
    families = {IpFamilies.IPV4_ONLY: {Family.IPV4}, IpFamilies.IPV6_ONLY: {Family.IPV6}}.get(
        service.ip_families, {Family.IPV4, Family.IPV6}
    )
    addresses = (a for workload in workloads if _is_served(service, workload) for a in workload.addresses)
    return tuple(dict.fromkeys(address for address in addresses if _family(address) in families))


def _is_served(service: Service, workload: Workload) -> bool:
    return workload.healthy or service.load_balancing.unhealthy_too


def _is_called(workload: Workload, label: str) -> bool:
    return label in {workload.name.lower(), workload.hostname.lower()}


def _family(address: str) -> Family:
    return Family.IPV6 if ":" in address else Family.IPV4
