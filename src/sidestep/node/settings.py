"""What a node agent is told at its start."""

from __future__ import annotations

import ipaddress

import msgspec

from sidestep.mesh.model import Locality


class NodeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings that shape the node proxy's configuration."""

    node: str
    trust_domain: str = "cluster.local"
    cluster_id: str = "Kubernetes"
    network: str = ""
    locality: Locality = Locality()
    mesh_ranges: tuple[str, ...] = ()
    """CIDRs of pods and services: an address in them that the mesh has not described is never dialled."""
    outside: tuple[str, ...] = ()
    """Addresses inside `mesh_ranges` that are not pods: the nodes' own, on the pods' bridges."""
    force_tunnel: bool = False
    """True: connections between pods of this node go over HBONE as well."""
    connect_seconds: float = 5.0
    access_log: str = ""
    """Path of the access log, "" for none."""
    failure_log: str = ""
    """Path of the log of endpoints that could not be reached, "" for none."""

    def is_mesh_address(self, address: str) -> bool:
        """Whether `address` is in `mesh_ranges` and not one of a node."""
        ip = ipaddress.ip_address(address)
        return any(ip in ipaddress.ip_network(block) for block in self.mesh_ranges) and not any(
            ip in ipaddress.ip_network(block, strict=False) for block in self.outside
        )
