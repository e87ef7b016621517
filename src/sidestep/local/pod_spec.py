"""What the runtime runs of a Pod resource. Pure.

The fields are those of Kubernetes' Pod that mean something for a process on this host; others are accepted and
ignored (`image` above all: nothing is pulled, a container's command runs on the host's own file system).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from sidestep.api.kubernetes.container import Container
from sidestep.api.kubernetes.pod import PodSpec
from sidestep.local.errors import BadDataError


class RunningPod(msgspec.Struct, frozen=True, kw_only=True):
    """A pod that has its place: what its containers' environment can refer to."""

    uid: str
    name: str
    namespace: str
    node: str
    host_address: str
    addresses: tuple[str, ...]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    spec: PodSpec

    @property
    def service_account(self) -> str:
        return self.spec.service_account_name or "default"


def parse_spec(document: Mapping[str, Any]) -> PodSpec:
    """The spec of a Pod manifest."""
    try:
        spec = msgspec.convert(document.get("spec", {}), PodSpec)
    except msgspec.ValidationError as error:
        raise BadDataError(f"spec: {error}") from error
    if spec.host_network:
        raise BadDataError("spec.hostNetwork: pods of the local runtime have a network namespace each; leave it out")
    for container in (*spec.init_containers, *spec.containers):
        if not container.command and not container.args:
            raise BadDataError(
                f"container {container.name} has no command: images are not pulled, so `command` must name a "
                "program of this host"
            )
    return spec


def port_of(spec: PodSpec, container: Container, wanted: int | str) -> int:
    """A probe's port by number or by name."""
    if isinstance(wanted, int):
        return wanted
    for candidate in (*container.ports, *(port for other in spec.containers for port in other.ports)):
        if candidate.name == wanted:
            return candidate.container_port
    raise BadDataError(f"container {container.name} has a probe on the port {wanted!r}, which no container names")


def environment_of(pod: RunningPod, container: Container) -> dict[str, str]:
    """The container's own variables, `$(OTHER)` replaced by those before."""
    values: dict[str, str] = {}
    for variable in container.env:
        if variable.value_from is None:
            values[variable.name] = expand(variable.value, values)
        elif variable.value_from.field_ref is not None:
            values[variable.name] = field_of(pod, variable.value_from.field_ref.field_path)
        else:
            raise BadDataError(f"container {container.name}: env {variable.name}: only valueFrom.fieldRef is supported")
    return values


def command_of(container: Container, environment: Mapping[str, str]) -> tuple[str, ...]:
    """`command` and `args`, `$(NAME)` replaced by the environment's value."""
    return tuple(expand(part, environment) for part in (*container.command, *container.args))


_LABEL_PATH = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")
_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")


def field_of(pod: RunningPod, path: str) -> str:
    """A field of the downward API."""
    match = _LABEL_PATH.fullmatch(path)
    if match:
        source = pod.labels if match[1] == "labels" else pod.annotations
        return source.get(match[2], "")
    fields = {
        "metadata.name": pod.name,
        "metadata.namespace": pod.namespace,
        "metadata.uid": pod.uid,
        "spec.nodeName": pod.node,
        "spec.serviceAccountName": pod.service_account,
        "status.podIP": pod.addresses[0] if pod.addresses else "",
        "status.podIPs": ",".join(pod.addresses),
        "status.hostIP": pod.host_address,
    }
    if path not in fields:
        raise BadDataError(f"fieldRef {path!r} is not one of {', '.join(fields)}, metadata.labels['…']")
    return fields[path]


def expand(text: str, values: Mapping[str, str]) -> str:
    """`$(NAME)` becomes its value, stays as it is when there is none; `$$` is one dollar sign."""

    def replace(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return values.get(match[1], match[0])

    return _REFERENCE.sub(replace, text)
