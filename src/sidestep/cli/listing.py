"""What `get` shows of each kind. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sidestep.cli.tables import age_of, table
from sidestep.local import deployments
from sidestep.local.merge import REDIRECTION
from sidestep.local.pod_status import is_ready

Document = Mapping[str, Any]
Cells = list[tuple[str, str]]


def listing(
    kind: str, documents: Sequence[Document], pods: Sequence[Document], *, now: float, wide: bool, namespaces: bool
) -> str:
    """A table; `pods` are all there are, to count a Deployment's."""
    rows = [_row(kind, document, pods, now=now, wide=wide, namespaces=namespaces) for document in documents]
    return table([name for name, _ in rows[0]], [[value for _, value in row] for row in rows])


def _row(kind: str, document: Document, pods: Sequence[Document], *, now: float, wide: bool, namespaces: bool) -> Cells:
    metadata = document["metadata"]
    cells: Cells = [("NAMESPACE", str(metadata.get("namespace", "")))] if namespaces else []
    cells.append(("NAME", str(metadata["name"])))
    if kind == "Pod":
        cells += _pod(document)
    elif kind == "Service":
        cells += _service(document)
    elif kind == "Deployment":
        cells += _deployment(document, pods)
    cells.append(("AGE", age_of(str(metadata.get("creationTimestamp", "")), now)))
    if wide:
        cells += _wide(kind, document)
    return cells


def _pod(pod: Document) -> Cells:
    status = pod.get("status") or {}
    containers = status.get("containerStatuses") or ()
    ready = sum(1 for container in containers if container.get("ready"))
    total = len((pod.get("spec") or {}).get("containers") or ())
    return [
        ("READY", f"{ready}/{total}"),
        ("STATUS", pod_state(pod)),
        ("RESTARTS", str(sum(int(container.get("restartCount", 0)) for container in containers))),
        ("MESH", "yes" if (pod["metadata"].get("annotations") or {}).get(REDIRECTION) == "enabled" else "no"),
    ]


def pod_state(pod: Document) -> str:
    """One word: the phase, or what keeps a container from running."""
    if "deletionTimestamp" in pod["metadata"]:
        return "Terminating"
    status = pod.get("status") or {}
    for container in status.get("containerStatuses") or ():
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason"):
            return str(waiting["reason"])
    return str(status.get("phase", "Pending"))


def _service(service: Document) -> Cells:
    spec = service.get("spec") or {}
    addresses = spec.get("clusterIPs") or [spec.get("clusterIP")]
    ports = [f"{port.get('port')}/{port.get('protocol', 'TCP')}" for port in spec.get("ports") or ()]
    return [
        ("TYPE", str(spec.get("type", "ClusterIP"))),
        ("CLUSTER-IP", ",".join(str(address) for address in addresses if address) or "<none>"),
        ("PORTS", ",".join(ports) or "<none>"),
    ]


def _deployment(deployment: Document, pods: Sequence[Document]) -> Cells:
    replicas = int((deployment.get("spec") or {}).get("replicas", 1))
    own = [pod for pod in pods if deployments.owns(deployment, pod)]
    digest = deployments.template_hash(deployment)
    return [
        ("READY", f"{sum(map(is_ready, own))}/{replicas}"),
        ("UP-TO-DATE", str(sum(1 for pod in own if deployments.hash_of(pod) == digest))),
    ]


def _wide(kind: str, document: Document) -> Cells:
    spec = document.get("spec") or {}
    if kind == "Pod":
        status = document.get("status") or {}
        addresses = ",".join(entry["ip"] for entry in status.get("podIPs") or ())
        return [("IP", addresses or "<none>"), ("NODE", str(spec.get("nodeName", "<none>")))]
    if kind == "Service":
        selector = spec.get("selector") or {}
        return [("SELECTOR", ",".join(f"{k}={v}" for k, v in selector.items()) or "<none>")]
    labels = document["metadata"].get("labels") or {}
    return [("LABELS", ",".join(f"{k}={v}" for k, v in labels.items()) or "<none>")]
