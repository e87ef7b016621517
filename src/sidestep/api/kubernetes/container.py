"""A container of a pod: what to run, and how to see that it runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

import msgspec

from sidestep.api import validate
from sidestep.api.meta import Finding, Model, Path, PortNumber

Protocol = Literal["TCP", "UDP", "SCTP"]
_ENVIRONMENT_NAME = re.compile(r"[^=\x00]+")


class FieldReference(Model, frozen=True, kw_only=True):
    """A field of the pod, e.g. `metadata.name`, `status.podIP`."""

    field_path: str


class EnvironmentSource(Model, frozen=True, kw_only=True):
    """Where a variable's value comes from. None: from a Secret, a ConfigMap or a resource limit."""

    field_ref: FieldReference | None = None


class EnvironmentVariable(Model, frozen=True, kw_only=True):
    """`value`, in which `$(OTHER)` stands for a variable before it, or `value_from`."""

    name: str
    value: str = ""
    value_from: EnvironmentSource | None = None


class ContainerPort(Model, frozen=True, kw_only=True):
    """A port on which the container listens; its name is what a Service's `targetPort` may say."""

    container_port: PortNumber
    name: str = ""
    protocol: Protocol = "TCP"
    host_port: int = 0
    host_ip: str = msgspec.field(default="", name="hostIP")


class HttpHeader(Model, frozen=True, kw_only=True):
    """A header that a probe sends."""

    name: str
    value: str = ""


class HttpGet(Model, frozen=True, kw_only=True):
    """Healthy when a GET is answered with 200 to 399."""

    port: int | str
    path: str = "/"
    host: str = ""
    scheme: Literal["HTTP", "HTTPS"] = "HTTP"
    http_headers: tuple[HttpHeader, ...] = ()


class TcpSocket(Model, frozen=True, kw_only=True):
    """Healthy when a connection opens."""

    port: int | str
    host: str = ""


class Exec(Model, frozen=True, kw_only=True):
    """Healthy when the command exits with 0."""

    command: tuple[str, ...] = ()


class Grpc(Model, frozen=True, kw_only=True):
    """Healthy when gRPC's health service says so."""

    port: PortNumber
    service: str = ""


class Probe(Model, frozen=True, kw_only=True):
    """How to ask a container for its health. Times are whole seconds, the defaults Kubernetes'."""

    http_get: HttpGet | None = None
    tcp_socket: TcpSocket | None = None
    exec: Exec | None = None
    grpc: Grpc | None = None
    initial_delay_seconds: int = 0
    timeout_seconds: int = 1
    period_seconds: int = 10
    success_threshold: int = 1
    failure_threshold: int = 3


class Container(Model, frozen=True, kw_only=True):
    """One container."""

    name: str
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    env: tuple[EnvironmentVariable, ...] = ()
    ports: tuple[ContainerPort, ...] = ()
    readiness_probe: Probe | None = None
    liveness_probe: Probe | None = None
    startup_probe: Probe | None = None


def container_findings(container: Container, path: Path) -> Iterator[Finding]:
    """Checks names, ports, variables and probes."""
    yield from validate.label_name(container.name, (*path, "name"))
    for index, port in enumerate(container.ports):
        at = (*path, "ports", index)
        yield from validate.port(port.container_port, (*at, "containerPort"))
        if port.name:
            yield from validate.port_name(port.name, (*at, "name"))
            if port.name in {other.name for other in container.ports[:index]}:
                yield Finding((*at, "name"), f"{port.name!r} names a port before it too; give each its own name")
    for index, variable in enumerate(container.env):
        yield from _variable_findings(variable, (*path, "env", index))
    probes = (
        ("readinessProbe", container.readiness_probe),
        ("livenessProbe", container.liveness_probe),
        ("startupProbe", container.startup_probe),
    )
    for name, probe in probes:
        if probe is not None:
            yield from _probe_findings(probe, (*path, name))


def _variable_findings(variable: EnvironmentVariable, path: Path) -> Iterator[Finding]:
    if not _ENVIRONMENT_NAME.fullmatch(variable.name):
        yield Finding((*path, "name"), f"{validate.shown(variable.name)} is no variable's name; leave out '='")
    if variable.value and variable.value_from is not None:
        yield Finding((*path, "valueFrom"), "there is a value as well; leave out one of the two")


def _probe_findings(probe: Probe, path: Path) -> Iterator[Finding]:
    handlers = {"httpGet": probe.http_get, "tcpSocket": probe.tcp_socket, "exec": probe.exec, "grpc": probe.grpc}
    given = [name for name, handler in handlers.items() if handler is not None]
    if len(given) != 1:
        found = f"got {' and '.join(given)}" if given else "got none"
        yield Finding(path, f"expected one of {', '.join(handlers)}, {found}")
    for name in ("httpGet", "tcpSocket", "grpc"):
        handler = handlers[name]
        if isinstance(handler, HttpGet | TcpSocket | Grpc):
            yield from validate.port_or_name(handler.port, (*path, name, "port"))
    if probe.exec is not None and not probe.exec.command:
        yield Finding((*path, "exec", "command"), "empty; write the program and its arguments as a list")
    timings = (
        ("initialDelaySeconds", probe.initial_delay_seconds, 0),
        ("timeoutSeconds", probe.timeout_seconds, 1),
        ("periodSeconds", probe.period_seconds, 1),
        ("successThreshold", probe.success_threshold, 1),
        ("failureThreshold", probe.failure_threshold, 1),
    )
    for field, value, least in timings:
        if value < least:
            yield Finding((*path, field), f"expected an integer of at least {least}, got {value}")
