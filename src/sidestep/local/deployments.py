"""A Deployment and its pods → what to do next. Pure.

As Kubernetes' controllers do it, with the ReplicaSet left out: its name (`deployment-hash`) appears as the pods'
owner, since tools derive the workload from it.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sidestep.local.instance import short_hash
from sidestep.local.merge import Document, new_uid, random_suffix
from sidestep.local.pod_status import is_ready

TEMPLATE_HASH = "pod-template-hash"


@dataclass(frozen=True, kw_only=True)
class Actions:
    """Pods to make (whole documents) and pods to end (names)."""

    create: tuple[Document, ...] = ()
    delete: tuple[str, ...] = ()


def plan(deployment: Mapping[str, Any], pods: Sequence[Mapping[str, Any]], *, now: str) -> Actions:
    """The next step towards `replicas` pods of the current template. `pods` are those that `owns` accepts."""
    spec = deployment.get("spec") or {}
    replicas = int(spec.get("replicas", 1))
    digest = template_hash(deployment)
    living = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    new = [pod for pod in living if hash_of(pod) == digest]
    old = [pod for pod in living if hash_of(pod) != digest]
    surplus = tuple(_name(pod) for pod in _least_useful(new)[: max(0, len(new) - replicas)])
    strategy = spec.get("strategy") or {}
    if strategy.get("type") == "Recreate":
        if old:
            return Actions(delete=surplus + tuple(_name(pod) for pod in old))
        missing = replicas - len(pods) if len(pods) > len(living) else replicas - len(new)
    else:
        surge, unavailable = _bounds(strategy.get("rollingUpdate") or {}, replicas)
        missing = min(replicas - len(new), replicas + surge - len(living))
        surplus += _retire(old, ready_new=sum(map(is_ready, new)), keep=replicas - unavailable)
    created = tuple(_pod(deployment, digest, now) for _ in range(max(0, missing)))
    return Actions(create=created, delete=surplus)


def owns(deployment: Mapping[str, Any], pod: Mapping[str, Any]) -> bool:
    """True for a pod that was made for this deployment."""
    metadata, own = pod["metadata"], deployment["metadata"]
    if metadata.get("namespace") != own.get("namespace"):
        return False
    return owner_of(pod) == str(own["name"])


def owner_of(pod: Mapping[str, Any]) -> str | None:
    """The name of the deployment that a pod was made for."""
    digest = hash_of(pod)
    for owner in pod["metadata"].get("ownerReferences") or ():
        name = str(owner.get("name", ""))
        if owner.get("kind") == "ReplicaSet" and digest and name.endswith(f"-{digest}"):
            return name.removesuffix(f"-{digest}")
    return None


def template_hash(deployment: Mapping[str, Any]) -> str:
    """Changes with the pod template and with nothing else."""
    template = (deployment.get("spec") or {}).get("template") or {}
    return short_hash(json.dumps(template, sort_keys=True, default=str))


def hash_of(pod: Mapping[str, Any]) -> str:
    """Of the template that a pod was made from; empty for one that no deployment made."""
    return str((pod["metadata"].get("labels") or {}).get(TEMPLATE_HASH, ""))


def _pod(deployment: Mapping[str, Any], digest: str, now: str) -> Document:
    own = deployment["metadata"]
    template = copy.deepcopy(deployment["spec"].get("template") or {})
    metadata = template.get("metadata") or {}
    replica_set = f"{own['name']}-{digest}"
    metadata = {
        "name": f"{replica_set}-{random_suffix()}",
        "generateName": f"{replica_set}-",
        "namespace": own["namespace"],
        "uid": new_uid(),
        "creationTimestamp": now,
        "labels": {**(metadata.get("labels") or {}), TEMPLATE_HASH: digest},
        **({"annotations": metadata["annotations"]} if metadata.get("annotations") else {}),
        "ownerReferences": [
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "name": replica_set,
                "uid": own.get("uid", ""),
                "controller": True,
            }
        ],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template.get("spec") or {}}


def _retire(old: Sequence[Mapping[str, Any]], *, ready_new: int, keep: int) -> tuple[str, ...]:
    """Old pods that may end now: those that serve nobody, and ready ones as far as `keep` stay available."""
    idle = [pod for pod in old if not is_ready(pod)]
    ready = [pod for pod in old if is_ready(pod)]
    dispensable = max(0, ready_new + len(ready) - keep)
    return tuple(_name(pod) for pod in [*idle, *ready[:dispensable]])


def _bounds(rolling: Mapping[str, Any], replicas: int) -> tuple[int, int]:
    surge = _amount(rolling.get("maxSurge", "25%"), replicas, math.ceil)
    unavailable = _amount(rolling.get("maxUnavailable", "25%"), replicas, math.floor)
    # both zero would never get anywhere
    return (surge, unavailable) if surge or unavailable else (1, 0)


def _amount(value: int | str, replicas: int, rounded: Any) -> int:
    if isinstance(value, str) and value.endswith("%"):
        return int(rounded(replicas * float(value[:-1]) / 100))
    return int(value)


def _least_useful(pods: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    by_age = sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")), reverse=True)
    return sorted(by_age, key=is_ready)


def _name(pod: Mapping[str, Any]) -> str:
    return str(pod["metadata"]["name"])
