"""What the controller is told on its command line."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec

from sidestep.mesh.build import MeshSettings


class ControllerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one controller."""

    resources: Path
    """A folder of YAML."""
    state_dir: Path
    join_tokens: Path
    """A folder with one private file a node, named after it, that holds its token."""
    settings: MeshSettings
    address: str = "127.0.0.1"
    """Where nodes reach it: both gRPC ports listen here."""
    port: int = 15012
    """xDS and the CA service, mutual TLS."""
    join_port: int = 15013
    """Joining, TLS with a token."""
    metrics_address: str = "127.0.0.1"
    metrics_port: int = 15014
    ca_folder: Path | None = None
    """A plug-in authority in Istio's `cacerts` layout; without it the controller makes a root of its own."""
    certificate_lifetime: dt.timedelta = dt.timedelta(hours=24)
    """How long certificates live when the node asks for no time, and the most it gets."""

    @property
    def own_folder(self) -> Path:
        """Where the controller keeps its state."""
        return self.state_dir / "controller"

    @property
    def root_certificate(self) -> Path:
        """The trust bundle, for nodes that join."""
        return self.own_folder / "root-cert.pem"


def endpoint(address: str, port: int) -> str:
    """`host:port`, with brackets around an IPv6 address."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
