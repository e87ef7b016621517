"""Pod (v1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import msgspec

from sidestep.api import validate
from sidestep.api.kubernetes.container import Container, container_findings
from sidestep.api.meta import Finding, Model, Path, Resource, Timestamp

Phase = Literal["Pending", "Running", "Succeeded", "Failed", "Unknown"]
ConditionStatus = Literal["True", "False", "Unknown"]
RestartPolicy = Literal["Always", "OnFailure", "Never"]
DnsPolicy = Literal["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]


class DnsOption(Model, frozen=True, kw_only=True):
    """An option of resolv.conf, e.g. `ndots` with value `2`."""

    name: str
    value: str = ""


class DnsConfig(Model, frozen=True, kw_only=True):
    """Added to the resolv.conf that `dns_policy` makes."""

    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[DnsOption, ...] = ()


class PodSpec(Model, frozen=True, kw_only=True):
    """What a pod runs and where."""

    containers: tuple[Container, ...]
    init_containers: tuple[Container, ...] = ()
    node_name: str = ""
    service_account_name: str = ""
    """Empty: `default`; `Pod.service_account` says so."""
    restart_policy: RestartPolicy = "Always"
    host_network: bool = False
    hostname: str = ""
    subdomain: str = ""
    dns_policy: DnsPolicy = "ClusterFirst"
    dns_config: DnsConfig | None = None
    termination_grace_period_seconds: int = 30


class PodAddress(Model, frozen=True, kw_only=True):
    """One address of a pod or of its host."""

    ip: str = ""


class PodCondition(Model, frozen=True, kw_only=True):
    """A condition; `Ready` decides whether a pod gets traffic."""

    type: str
    status: ConditionStatus
    reason: str = ""
    message: str = ""
    last_transition_time: Timestamp | None = None


class Waiting(Model, frozen=True, kw_only=True):
    """Not started yet, or waiting to be restarted."""

    reason: str = ""
    message: str = ""


class Running(Model, frozen=True, kw_only=True):
    """Runs."""

    started_at: Timestamp | None = None


class Terminated(Model, frozen=True, kw_only=True):
    """Ended."""

    exit_code: int
    signal: int = 0
    reason: str = ""
    message: str = ""
    started_at: Timestamp | None = None
    finished_at: Timestamp | None = None


class ContainerState(Model, frozen=True, kw_only=True):
    """At most one is set; none means waiting."""

    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(Model, frozen=True, kw_only=True):
    """How one container fares."""

    name: str
    ready: bool = False
    started: bool | None = None
    restart_count: int = 0
    image: str = ""
    image_id: str = msgspec.field(default="", name="imageID")
    container_id: str = msgspec.field(default="", name="containerID")
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()


class PodStatus(Model, frozen=True, kw_only=True):
    """How a pod fares; whoever runs it writes this."""

    phase: Phase = "Pending"
    pod_ip: str = msgspec.field(default="", name="podIP")
    pod_ips: tuple[PodAddress, ...] = msgspec.field(default=(), name="podIPs")
    host_ip: str = msgspec.field(default="", name="hostIP")
    host_ips: tuple[PodAddress, ...] = msgspec.field(default=(), name="hostIPs")
    conditions: tuple[PodCondition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    start_time: Timestamp | None = None
    reason: str = ""
    message: str = ""


class Pod(Resource, frozen=True, kw_only=True):
    """One pod."""

    KIND: ClassVar[str] = "Pod"
    API_VERSION: ClassVar[str] = "v1"

    spec: PodSpec
    status: PodStatus = PodStatus()

    @property
    def service_account(self) -> str:
        return self.spec.service_account_name or "default"

    @property
    def addresses(self) -> tuple[str, ...]:
        """All of its addresses, the primary one first; empty before it has any."""
        found = (self.status.pod_ip, *(address.ip for address in self.status.pod_ips))
        return tuple(dict.fromkeys(address for address in found if address))

    @property
    def ready(self) -> bool:
        """True if the `Ready` condition is."""
        return any(condition.type == "Ready" and condition.status == "True" for condition in self.status.conditions)

    @property
    def finished(self) -> bool:
        """True if it ended and will not run again."""
        return self.status.phase in ("Succeeded", "Failed")

    def container_port(self, name: str, protocol: str = "TCP") -> int | None:
        """The number of the port of that name; None if no container names it."""
        for container in self.spec.containers:
            for port in container.ports:
                if port.name == name and port.protocol == protocol:
                    return port.container_port
        return None

    def value_findings(self) -> Iterator[Finding]:
        yield from spec_findings(self.spec, ("spec",))
        if self.status.pod_ip:
            yield from validate.address(self.status.pod_ip, ("status", "podIP"))
        for index, address in enumerate(self.status.pod_ips):
            yield from validate.address(address.ip, ("status", "podIPs", index, "ip"))


def spec_findings(spec: PodSpec, path: Path) -> Iterator[Finding]:
    """Checks a pod's spec, alone or in a template."""
    if not spec.containers:
        yield Finding((*path, "containers"), "empty; a pod needs at least one container")
    seen: set[str] = set()
    for field, containers in (("initContainers", spec.init_containers), ("containers", spec.containers)):
        for index, container in enumerate(containers):
            at = (*path, field, index)
            yield from container_findings(container, at)
            if container.name in seen:
                yield Finding((*at, "name"), f"{container.name!r} names another container too; give each its own name")
            seen.add(container.name)
    named = (("nodeName", spec.node_name), ("serviceAccountName", spec.service_account_name))
    for field, value in named:
        if value:
            yield from validate.name(value, (*path, field))
    for field, value in (("hostname", spec.hostname), ("subdomain", spec.subdomain)):
        if value:
            yield from validate.label_name(value, (*path, field))
    if spec.termination_grace_period_seconds < 0:
        yield Finding(
            (*path, "terminationGracePeriodSeconds"),
            f"expected an integer of at least 0, got {spec.termination_grace_period_seconds}",
        )
    yield from _dns_findings(spec, path)


def _dns_findings(spec: PodSpec, path: Path) -> Iterator[Finding]:
    nameservers = spec.dns_config.nameservers if spec.dns_config else ()
    for index, nameserver in enumerate(nameservers):
        yield from validate.address(nameserver, (*path, "dnsConfig", "nameservers", index))
    if spec.dns_policy == "None" and not nameservers:
        yield Finding((*path, "dnsConfig", "nameservers"), "empty; with dnsPolicy None a pod needs at least one")
