"""The pods of the benchmark, as manifests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from bench.loads import BULK_PORT, HTTP_PORT

_ENROLMENT = "istio.io/dataplane-mode"
# Pods that send, and those that answer: name, node, whether the mesh has them.
_CLIENTS = (("client", "node-1", True), ("client-direct", "node-1", False))
_SERVERS = (
    ("server", "node-2", True),
    ("server-direct", "node-2", False),
    ("near", "node-1", True),
    ("near-direct", "node-1", False),
)

Manifest = Mapping[str, Any]


def manifests(*, envoy: Path, configuration: Path) -> Iterator[Manifest]:
    """All of them; servers run the binary `envoy` with the file `configuration`."""
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default", "labels": {_ENROLMENT: "ambient"}}}
    for name, node, enrolled in _CLIENTS:
        yield from _pod(name, node, [_container("client", ["sleep", "infinity"])], enrolled=enrolled)
    # One worker: the server must not take the processors from what is measured.
    answer = [str(envoy), "--config-path", str(configuration), "--concurrency", "1", "--disable-hot-restart"]
    containers = [
        _container("http", [*answer, "--log-level", "error"], HTTP_PORT),
        _container("bulk", ["iperf3", "--server", f"--port={BULK_PORT}"]),
    ]
    for name, node, enrolled in _SERVERS:
        yield from _pod(name, node, containers, enrolled=enrolled)


def text(documents: Iterator[Manifest]) -> str:
    """As JSON documents in one YAML file."""
    return "\n---\n".join(msgspec.json.encode(document).decode() for document in documents)


def _pod(name: str, node: str, containers: Sequence[Manifest], *, enrolled: bool) -> Iterator[Manifest]:
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
    labels = {"app": name} | ({} if enrolled else {_ENROLMENT: "none"})
    yield {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {"nodeName": node, "serviceAccountName": name, "containers": list(containers)},
    }


def _container(name: str, command: Sequence[str], port: int = 0) -> Manifest:
    container: dict[str, Any] = {"name": name, "image": "host", "command": list(command)}
    if port:
        container["readinessProbe"] = {"tcpSocket": {"port": port}, "periodSeconds": 1}
    return container
