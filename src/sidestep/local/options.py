"""What `sidestep up` was asked for."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec


class UpOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one run."""

    files: tuple[Path, ...] = ()
    """Manifests to apply at the start."""
    nodes: int = 1
    mesh: bool = True
    """False: pods, network and Services alone, nothing of the mesh (a baseline for comparisons)."""
    trust_domain: str = "cluster.local"
    certificate_lifetime: dt.timedelta | None = None
    """Of workloads' certificates; None for the default."""
    force_hbone: bool = False
    """Encrypt between pods of one node as well."""
    ca_folder: Path | None = None
    concurrency: int = 0
    """Worker threads of each Envoy; 0 for its default."""
