"""Cluster addresses of Services for pods outside the mesh: one nftables table in each node's namespace.

Pods in the mesh never get here: their connections are captured before they leave the pod.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from ipaddress import ip_address

import msgspec

from sidestep.local.children import enter_network
from sidestep.local.errors import OperatingSystemError
from sidestep.mesh.model import Mesh, Service, Workload

TABLE = "sidestep-services"


class VirtualPort(msgspec.Struct, frozen=True, kw_only=True):
    """A service's address and port, and where its connections go; without endpoints they are refused."""

    address: str
    port: int
    endpoints: tuple[tuple[str, int], ...]


def virtual_ports(mesh: Mesh) -> tuple[VirtualPort, ...]:
    """Of all Kubernetes Services, in a stable order. Endpoints are of the address' family.

    ServiceEntries are the mesh's business: as on a cluster, nobody answers at their addresses outside of it.
    """
    by_service: dict[str, list[Workload]] = {}
    for workload in mesh.workloads.values():
        for key in workload.services:
            by_service.setdefault(key, []).append(workload)
    found: list[VirtualPort] = []
    for key in sorted(mesh.services):
        service = mesh.services[key]
        if not service.hostname.startswith(f"{service.name}.{service.namespace}.svc."):
            continue
        for address in service.addresses:
            found.extend(_of_address(service, address.address, by_service.get(key, ())))
    return tuple(found)


def ruleset(ports: Iterable[VirtualPort]) -> str:
    """What `nft -f -` takes: the whole table, replaced in one transaction."""
    ports = tuple(ports)
    return "".join(_table(family, [p for p in ports if _family(p.address) == family]) for family in ("ip", "ip6"))


def install(namespace: str, rules: str) -> None:
    """Replace the table in a network namespace. Blocking."""
    result = subprocess.run(
        [*enter_network(namespace), "nft", "-f", "-"], input=rules, capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        raise OperatingSystemError(f"nft refuses the rules for services in {namespace}: {result.stderr.strip()}")


def _of_address(service: Service, address: str, workloads: Iterable[Workload]) -> Iterable[VirtualPort]:
    workloads = [w for w in workloads if w.healthy or service.load_balancing.unhealthy_too]
    for port in service.ports:
        endpoints = sorted(
            (own, target.target_port)
            for workload in workloads
            for own in workload.addresses
            if _family(own) == _family(address)
            for target in workload.services[service.key]
            if target.service_port == port.service_port and target.target_port
        )
        yield VirtualPort(address=address, port=port.service_port, endpoints=tuple(endpoints))


def _table(family: str, ports: list[VirtualPort]) -> str:
    # "add" before "delete": deleting a table that is not there is an error, adding one that is there is not
    lines = [f"add table {family} {TABLE}", f"delete table {family} {TABLE}", f"table {family} {TABLE} {{"]
    lines += ["  chain services {", *(f"    {_translation(family, p)}" for p in ports if p.endpoints), "  }"]
    lines += ["  chain refused {", *(f"    {_refusal(family, p)}" for p in ports if not p.endpoints), "  }"]
    lines += [
        "  chain from-pods { type nat hook prerouting priority dstnat; jump services; }",
        "  chain from-node { type nat hook output priority -100; jump services; }",
        "  chain forwarded { type filter hook forward priority filter; jump refused; }",
        # a pod that was sent to itself must not see its own address as the peer's
        "  chain to-itself {",
        "    type nat hook postrouting priority srcnat;",
        f"    ct status dnat {family} saddr . {family} daddr @own masquerade",
        "  }",
        "}",
        "",
    ]
    own = sorted({address for port in ports for address, _ in port.endpoints})
    elements = ", ".join(f"{address} . {address}" for address in own)
    kind = "ipv4_addr" if family == "ip" else "ipv6_addr"
    filled = f" elements = {{ {elements} }};" if own else ""
    lines.insert(3, f"  set own {{ type {kind} . {kind};{filled} }}")
    return "\n".join(lines)


def _match(family: str, port: VirtualPort) -> str:
    return f"{family} daddr {port.address} meta l4proto {{ tcp, udp }} th dport {port.port}"


def _translation(family: str, port: VirtualPort) -> str:
    targets = ", ".join(f"{i} : {address} . {number}" for i, (address, number) in enumerate(port.endpoints))
    return f"{_match(family, port)} dnat {family} to numgen random mod {len(port.endpoints)} map {{ {targets} }}"


def _refusal(family: str, port: VirtualPort) -> str:
    match = f"{family} daddr {port.address}"
    return f"{match} tcp dport {port.port} reject with tcp reset"


def _family(address: str) -> str:
    return "ip" if ip_address(address).version == 4 else "ip6"
