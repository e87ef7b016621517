"""Waiting until the pods that the resources ask for are ready. Blocking."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from sidestep.api.meta import ResourceKey
from sidestep.local import deployments
from sidestep.local.errors import UnavailableError
from sidestep.local.pod_status import is_ready
from sidestep.local.store import Store

_POLL_SECONDS = 0.1
Documents = Mapping[ResourceKey, Mapping[str, Any]]


class Count(Protocol):
    """Hears how far the pods are, at each change."""

    def __call__(self, text: str, *, complete: bool) -> None: ...


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """How far the pods are."""

    ready: int
    wanted: int
    missing: tuple[str, ...]
    """What is not ready, one phrase each."""
    failed: tuple[str, ...]
    """What will not become ready."""


def readiness(documents: Documents) -> Readiness:
    """Of all Pods, and of the replicas of all Deployments. Pure."""
    pods = [d for key, d in documents.items() if key.kind == "Pod" and "deletionTimestamp" not in d["metadata"]]
    good = [pod for pod in pods if is_ready(pod) or _phase(pod) == "Succeeded"]
    missing = [f"{_name(pod)} ({reason_of(pod)})" for pod in pods if pod not in good]
    failed = [f"{_name(pod)}: {reason_of(pod)}" for pod in pods if _phase(pod) == "Failed"]
    absent = 0
    for key, deployment in documents.items():
        if key.kind == "Deployment":
            digest = deployments.template_hash(deployment)
            current = [p for p in pods if deployments.owns(deployment, p) and deployments.hash_of(p) == digest]
            lacking = int((deployment.get("spec") or {}).get("replicas", 1)) - len(current)
            if lacking > 0:
                absent += lacking
                missing.append(f"{lacking} pods of {key.namespace}/{key.name}")
    return Readiness(ready=len(good), wanted=len(pods) + absent, missing=tuple(missing), failed=tuple(failed))


def wait_for_pods(
    store: Store,
    *,
    seconds: float,
    say: Count,
    stopped: Callable[[], bool] = lambda: False,
) -> bool:
    """True when all are ready, False when `stopped`; raises when the time is over or a pod cannot run."""
    deadline = time.monotonic() + seconds
    told = None
    while not stopped():
        state = readiness(store.all())
        if state.failed:
            raise UnavailableError(f"pod {state.failed[0]}")
        text = f"{state.ready} of {state.wanted} pods ready"
        if text != told and state.wanted:
            told = text
            say(text, complete=not state.missing)
        if not state.missing:
            return True
        if time.monotonic() > deadline:
            raise UnavailableError(f"not ready after {seconds:g} s: {', '.join(state.missing)}")
        time.sleep(_POLL_SECONDS)
    return False


def _name(pod: Mapping[str, Any]) -> str:
    return f"{pod['metadata'].get('namespace')}/{pod['metadata']['name']}"


def _phase(pod: Mapping[str, Any]) -> str:
    return str((pod.get("status") or {}).get("phase", "Pending"))


def reason_of(pod: Mapping[str, Any]) -> str:
    """Why a pod is not ready: what its status or a container of it says, else its phase."""
    status = pod.get("status") or {}
    if status.get("message"):
        return str(status["message"])
    for container in status.get("containerStatuses") or ():
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("message"):
            return str(waiting["message"])
    return _phase(pod)
