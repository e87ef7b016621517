"""One pod, from its network namespace to its end."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

import msgspec

from sidestep.api.kubernetes.container import Container
from sidestep.local import namespaces, network
from sidestep.local.container_command import hosts_file, resolver_configuration
from sidestep.local.containers import ContainerRunner, PodContext
from sidestep.local.enrolment import PodEnrolment
from sidestep.local.errors import LocalError
from sidestep.local.files import write_atomically
from sidestep.local.instance import NodePlan
from sidestep.local.layout import Layout
from sidestep.local.pod_spec import RunningPod
from sidestep.local.pod_status import ContainerState, PodState
from sidestep.local.processes import Registry

_LAST_CALLS = 0.25
"""Seconds between "not ready" and SIGTERM: the mesh stops sending before the application stops listening."""


@dataclass(frozen=True, kw_only=True)
class PodPlace:
    """Where a pod runs, decided before it starts."""

    layout: Layout
    registry: Registry
    plan: NodePlan
    address: IPv4Address
    address6: IPv6Address | None


class PodRunner:
    """Runs one pod; every change of its state is told to `on_state`."""

    def __init__(
        self,
        place: PodPlace,
        pod: RunningPod,
        *,
        enrolment: PodEnrolment | None,
        on_state: Callable[[PodState], None],
    ) -> None:
        self.pod = pod
        self.place = place
        self.enrolment = enrolment
        self.state = PodState()
        self._on_state = on_state
        self._ending = asyncio.Event()
        namespace = place.plan.instance.pod_namespace(pod.uid)
        self._context = PodContext(layout=place.layout, registry=place.registry, pod=pod, network_namespace=namespace)
        self._containers: list[ContainerRunner] = []

    def end(self) -> None:
        """Ask it to terminate; `run` then returns when all is gone."""
        self._ending.set()

    async def run(self) -> None:
        """Until the pod is ended; cancelled, its processes are left alone."""
        async with asyncio.TaskGroup() as group:
            enrolling = group.create_task(self.enrolment.run()) if self.enrolment is not None else None
            living = group.create_task(self._live())
            await self._ending.wait()
            await self._last_calls()
            # out of the restart loop first, or it would start again what is stopped here
            living.cancel()
            await asyncio.wait([living])
            grace = self.pod.spec.termination_grace_period_seconds
            await asyncio.gather(*(container.stop(grace) for container in self._containers))
            if enrolling is not None:
                enrolling.cancel()
        if self.enrolment is not None:
            await self.enrolment.farewell()
        await asyncio.to_thread(self._demolish)

    async def _live(self) -> None:
        """All that is done while nobody asks for the pod's end."""
        try:
            await self._build()
            await self._run_containers()
        except LocalError as error:
            self._set(failure=str(error))

    async def _build(self) -> None:
        place, pod = self.place, self.pod
        await asyncio.to_thread(network.create_pod, place.plan, pod.uid, place.address, place.address6)
        await asyncio.to_thread(self._write_files)
        waiting = tuple(ContainerState(name=container.name) for container in pod.spec.containers)
        self._set(addresses=pod.addresses, host_address=pod.host_address, containers=waiting, started=time.time())
        if self.enrolment is not None:
            await self.enrolment.settled()

    async def _run_containers(self) -> None:
        spec = self.pod.spec
        for container in spec.init_containers:
            policy = "Never" if spec.restart_policy == "Never" else "OnFailure"
            code = await self._runner(container, told=False).run(policy)
            if code != 0:
                self._set(failure=f"init container {container.name} exited with {code}")
                return
        async with asyncio.TaskGroup() as group:
            for container in spec.containers:
                group.create_task(self._runner(container, told=True).run(spec.restart_policy))

    def _runner(self, container: Container, *, told: bool) -> ContainerRunner:
        runner = ContainerRunner(self._context, container, on_change=self._container_changed if told else _ignore)
        self._containers.append(runner)
        return runner

    async def _last_calls(self) -> None:
        was_ready = self.state.ready
        self._set(terminating=True)
        if was_ready:
            await asyncio.sleep(_LAST_CALLS)

    def _container_changed(self, changed: ContainerState) -> None:
        self._set(containers=tuple(changed if c.name == changed.name else c for c in self.state.containers))

    def _set(self, **changes: object) -> None:
        changed = msgspec.structs.replace(self.state, **changes)
        if changed != self.state:
            self.state = changed
            self._on_state(changed)

    def _write_files(self) -> None:
        place, pod = self.place, self.pod
        home = place.layout.pod(pod.namespace, pod.name)
        domain = place.plan.instance.domain
        resolver = resolver_configuration(pod.namespace, domain, [str(place.plan.gateway)])
        write_atomically(home / "resolv.conf", resolver.encode())
        write_atomically(home / "hosts", hosts_file(pod).encode())

    def _demolish(self) -> None:
        """What is left of it: processes that left their container's group, the namespace, its files but the logs."""
        place, pod = self.place, self.pod
        for pid in namespaces.processes_in([self._context.network_namespace]):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        network.remove_pod(place.plan, pod.uid)
        shutil.rmtree(place.layout.pod(pod.namespace, pod.name), ignore_errors=True)


def _ignore(_: ContainerState) -> None:
    """Init containers do not count for readiness."""
