"""The `status` of a Pod, from what its containers do. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from sidestep.api.kubernetes.pod import PodSpec


class ContainerState(msgspec.Struct, frozen=True, kw_only=True):
    """What one container does now."""

    name: str
    pid: int | None = None
    """None: it does not run."""
    since: float = 0.0
    """Seconds since the epoch."""
    ready: bool = False
    restarts: int = 0
    exit_code: int | None = None
    """Of its last end."""
    reason: str = "ContainerCreating"
    message: str = ""

    @property
    def finished(self) -> bool:
        """It ended and is not going to be started again."""
        return self.pid is None and self.reason in ("Completed", "Error")


class PodState(msgspec.Struct, frozen=True, kw_only=True):
    """What the runtime knows of a pod."""

    addresses: tuple[str, ...] = ()
    host_address: str = ""
    containers: tuple[ContainerState, ...] = ()
    started: float = 0.0
    terminating: bool = False
    failure: str = ""
    """Why the pod cannot run at all."""

    @property
    def ready(self) -> bool:
        return not self.terminating and bool(self.containers) and all(state.ready for state in self.containers)


def phase_of(state: PodState, spec: PodSpec | None) -> str:
    """Kubernetes' phase: Pending, Running, Succeeded or Failed."""
    if state.failure:
        return "Failed"
    containers = state.containers
    if spec is not None and spec.restart_policy != "Always" and containers and all(c.finished for c in containers):
        return "Succeeded" if all(c.exit_code == 0 for c in containers) else "Failed"
    if any(c.pid is not None or c.restarts or c.finished for c in containers):
        return "Running"
    return "Pending"


def status_document(state: PodState, spec: PodSpec | None) -> dict[str, Any]:
    """The status as Kubernetes writes it."""
    document: dict[str, Any] = {"phase": phase_of(state, spec)}
    if state.failure:
        document |= {"reason": "Invalid", "message": state.failure}
    if state.host_address:
        document |= {"hostIP": state.host_address, "hostIPs": [{"ip": state.host_address}]}
    if state.addresses:
        document |= {"podIP": state.addresses[0], "podIPs": [{"ip": address} for address in state.addresses]}
    if state.started:
        document["startTime"] = timestamp(state.started)
    document["conditions"] = [
        _condition("PodScheduled", holds=bool(state.host_address)),
        _condition("Initialized", holds=bool(state.containers)),
        _condition("ContainersReady", holds=state.ready),
        _condition("Ready", holds=state.ready),
    ]
    document["containerStatuses"] = [_container(container) for container in state.containers]
    return document


def timestamp(seconds: float) -> str:
    """As Kubernetes writes times."""
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def is_ready(document: Mapping[str, Any]) -> bool:
    """True if a Pod document says Ready."""
    conditions: Sequence[Mapping[str, Any]] = (document.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def _condition(name: str, *, holds: bool) -> dict[str, str]:
    return {"type": name, "status": "True" if holds else "False"}


def _container(state: ContainerState) -> dict[str, Any]:
    if state.pid is not None:
        detail: dict[str, Any] = {"running": {"startedAt": timestamp(state.since)}}
    elif state.finished:
        detail = {"terminated": {"exitCode": state.exit_code, "reason": state.reason}}
    else:
        detail = {"waiting": {"reason": state.reason, "message": state.message}}
    return {
        "name": state.name,
        "ready": state.ready,
        "started": state.pid is not None,
        "restartCount": state.restarts,
        "state": detail,
    }
