"""What `sidestep node` is told."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec

from sidestep.mesh.allocation import RANGES
from sidestep.mesh.model import Locality
from sidestep.node.settings import NodeSettings


class NodeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """One node's agent."""

    name: str
    state_dir: Path
    controller: str
    """`host:port` of the controller's mTLS port."""
    join: str
    """`host:port` where the join token is exchanged for the node's certificate."""
    root_certificate: Path
    token_file: Path
    mesh_cidr: tuple[str, ...] = ()
    """Ranges of pods and services; those of allocated addresses belong to the mesh in any case."""
    outside: tuple[str, ...] = ()
    dns_address: str = ""
    """Address on which the node's cluster DNS is served, for pods outside the mesh as well; "" serves no DNS."""
    upstream_dns: tuple[str, ...] = ()
    """Resolvers for names that are not the mesh's; none: such names do not exist."""
    trust_domain: str = "cluster.local"
    cluster_id: str = "Kubernetes"
    domain: str = "cluster.local"
    region: str = ""
    zone: str = ""
    force_hbone: bool = False
    concurrency: int = 2
    certificate_lifetime: dt.timedelta = dt.timedelta(hours=24)
    metrics_address: str = "127.0.0.1"
    metrics_port: int = 15020

    @property
    def settings(self) -> NodeSettings:
        """The part that shapes Envoy's configuration."""
        outside = (*self.outside, self.dns_address) if self.dns_address else self.outside
        return NodeSettings(
            node=self.name,
            trust_domain=self.trust_domain,
            cluster_id=self.cluster_id,
            locality=Locality(region=self.region, zone=self.zone),
            mesh_ranges=(*self.mesh_cidr, *RANGES),
            outside=outside,
            force_tunnel=self.force_hbone,
            access_log=str(self.state_dir / "access.log"),
            failure_log=str(self.failure_log),
        )

    @property
    def failure_log(self) -> Path:
        """Where Envoy notes the endpoints that it could not reach."""
        return self.state_dir / "failures.log"

    @property
    def agent_socket(self) -> Path:
        """The agent's own API."""
        return self.state_dir / "agent.sock"

    @property
    def xds_socket(self) -> Path:
        """Where Envoy and the DNS server get their configuration."""
        return self.state_dir / "xds.sock"
