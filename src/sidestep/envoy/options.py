"""What an Envoy supervisor is told, and what it tells."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sidestep.wire import envoy as pb

DEFAULT_PORTS = frozenset({15001, 15006, 15008})


@dataclass(frozen=True, kw_only=True)
class EnvoyOptions:
    """One Envoy, over all its generations. `folder` keeps its state and its sockets, and belongs to it alone."""

    binary: Path
    bootstrap: pb.Bootstrap
    """Its admin address is a Unix socket."""
    folder: Path
    log_path: Path
    command_prefix: tuple[str, ...] = ()
    """Runs Envoy by exec: `nsenter …`, `setpriv …`. The process that it starts has to become Envoy."""
    concurrency: int = 2
    """Worker threads. Listening sockets pass from one generation to the next worker by worker: keep it constant."""
    node_name: str = ""
    """For the logs alone."""
    parent_shutdown_seconds: float = 24 * 3600
    """How long a replaced Envoy may live on for the sake of its connections."""
    ports: frozenset[int] = field(default=DEFAULT_PORTS)
    """A replaced Envoy ends when no connection is left on these listening ports."""
    log_level: str = "warning"
    maximum_draining: int = 4
    """A hand-over is refused while so many replaced Envoys live: each takes some 100 MB."""
    ready_seconds: float = 30.0
    """How long a new Envoy may take to be ready in a hand-over before it is given up."""


@dataclass(frozen=True, kw_only=True)
class EnvoyProcess:
    """One living Envoy."""

    pid: int
    epoch: int
    """Its number in its chain of hand-overs; a chain begins with 0."""
    draining: bool
    """True: replaced, and alive only for the connections it still has."""
    connections: int | None
    """Open connections on the ports that count. None: not known."""


@dataclass(frozen=True, kw_only=True)
class HandOver:
    """The result of a restart without interruption."""

    old: EnvoyProcess
    new: EnvoyProcess
