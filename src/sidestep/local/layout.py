"""Where everything is inside a state folder. Pure: no file is touched."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from sidestep.local.errors import UsageError

DEFAULT_STATE_DIR = "/var/lib/sidestep"
STATE_DIR_VARIABLE = "SIDESTEP_STATE_DIR"
INSTANCE_VARIABLE = "SIDESTEP_INSTANCE"
MAXIMUM_SOCKET_PATH = 107
"""Bytes that fit into `sockaddr_un`, without the closing zero."""
_LONGEST_SOCKET = "nodes/node-99/envoy/admin.sock"


def instance_id(state_dir: Path) -> str:
    """Six hex digits that tell the instances of a host apart; part of every name that an instance makes."""
    return hashlib.sha256(str(state_dir.resolve()).encode()).hexdigest()[:6]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The paths of one instance."""

    state_dir: Path

    @classmethod
    def of(cls, state_dir: Path) -> Layout:
        """Refuse a folder so deep that a Unix socket below it could not be opened."""
        state_dir = state_dir.resolve()
        longest = len(str(state_dir / _LONGEST_SOCKET).encode())
        if longest > MAXIMUM_SOCKET_PATH:
            raise UsageError(
                f"the state folder {state_dir} has too long a path: sockets below it need {longest} bytes "
                f"and the kernel allows {MAXIMUM_SOCKET_PATH}; choose a shorter one with --state-dir"
            )
        return cls(state_dir=state_dir)

    @property
    def instance_id(self) -> str:
        return instance_id(self.state_dir)

    @property
    def instance_file(self) -> Path:
        return self.state_dir / "instance.json"

    @property
    def resources(self) -> Path:
        return self.state_dir / "resources"

    @property
    def resources_lock(self) -> Path:
        return self.run / "resources.lock"

    @property
    def controller(self) -> Path:
        return self.state_dir / "controller"

    @property
    def root_certificate(self) -> Path:
        return self.controller / "root-cert.pem"

    @property
    def controller_status(self) -> Path:
        return self.controller / "status.json"

    @property
    def join_tokens(self) -> Path:
        return self.state_dir / "join-tokens"

    @property
    def run(self) -> Path:
        return self.state_dir / "run"

    @property
    def processes(self) -> Path:
        return self.run / "processes"

    @property
    def progress(self) -> Path:
        return self.run / "progress.jsonl"

    @property
    def runtime_lock(self) -> Path:
        return self.run / "runtime.lock"

    @property
    def logs(self) -> Path:
        return self.state_dir / "logs"

    @property
    def nodes(self) -> Path:
        return self.state_dir / "nodes"

    def node(self, node: str) -> Path:
        return self.nodes / node

    def agent_socket(self, node: str) -> Path:
        return self.node(node) / "agent.sock"

    def envoy_admin(self, node: str) -> Path:
        """The Unix socket of the admin interface of a node's Envoy."""
        return self.node(node) / "envoy" / "admin.sock"

    def process_logs(self, target: str) -> tuple[Path, ...]:
        """Where `controller`, `node-1`, `node-1/envoy` or `node-1/dns` may have its log."""
        node, separator, part = target.partition("/")
        return (self.node(node) / f"{part}.log",) if separator else (self.logs / f"{target}.log",)

    def pod(self, namespace: str, name: str) -> Path:
        return self.state_dir / "pods" / namespace / name

    def pod_log(self, namespace: str, name: str, container: str) -> Path:
        return self.logs / "pods" / namespace / name / f"{container}.log"
