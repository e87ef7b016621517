"""One container of a pod: started, probed, restarted when it dies."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sidestep.api.kubernetes.container import Container, Probe
from sidestep.local import children
from sidestep.local.backoff import Backoff
from sidestep.local.children import Child
from sidestep.local.container_command import base_environment, join_command, start_command
from sidestep.local.errors import LocalError
from sidestep.local.layout import Layout
from sidestep.local.pod_spec import RunningPod, command_of, environment_of
from sidestep.local.pod_status import ContainerState
from sidestep.local.probes import ProbeError, Prober
from sidestep.local.processes import ProcessRecord, Registry
from sidestep.local.processes import environment_of as instance_environment

_IMPATIENCE = 0.2
"""Seconds between probes until the first success: a local start should not wait for a whole period."""


@dataclass(frozen=True, kw_only=True)
class PodContext:
    """Where the containers of one pod run."""

    layout: Layout
    registry: Registry
    pod: RunningPod
    network_namespace: str


class ContainerRunner:
    """Runs one container until it is finished. Every change of its state is told to `on_change`."""

    def __init__(
        self, context: PodContext, container: Container, *, on_change: Callable[[ContainerState], None]
    ) -> None:
        self._context = context
        self._container = container
        self._on_change = on_change
        self._backoff = Backoff(maximum=10)
        self._child: Child | None = None
        self._record: ProcessRecord | None = None
        self.state = ContainerState(name=container.name)

    async def run(self, restart_policy: str) -> int:
        """Run it until `restart_policy` (Always, OnFailure, Never) says that it is done; returns its exit code."""
        while True:
            started = time.monotonic()
            code, message = await self._run_once()
            if restart_policy == "Never" or (restart_policy == "OnFailure" and code == 0):
                self._set(pid=None, ready=False, exit_code=code, reason="Completed" if code == 0 else "Error")
                return code
            self._backoff = self._backoff.after_failure(time.monotonic() - started)
            text = message or f"exited with {code}; restart in {self._backoff.seconds:.1f} s"
            self._set(pid=None, ready=False, exit_code=code, reason="CrashLoopBackOff", message=text)
            await asyncio.sleep(self._backoff.seconds)
            self._set(restarts=self.state.restarts + 1)

    async def stop(self, grace: float) -> None:
        """End its process: SIGTERM, then SIGKILL after `grace` seconds."""
        if self._child is not None:
            await self._child.stop(grace)
        if self._record is not None:
            await asyncio.to_thread(self._context.registry.discard, self._record)

    async def execute(self, command: Sequence[str]) -> Child:
        """Start `command` beside the container's process."""
        if self._child is None:
            raise ProbeError("the container does not run")
        return await children.start(
            join_command(self._child.pid, command), environment=self._environment(), log=self._log
        )

    async def _run_once(self) -> tuple[int, str]:
        try:
            child = await self._start()
        except LocalError as error:
            return 128, str(error)
        self._child = child
        plain = self._container.readiness_probe is None and self._container.startup_probe is None
        self._set(pid=child.pid, since=child.started, ready=plain, reason="Running", message="")
        probing = asyncio.create_task(self._probe_all(child))
        try:
            return await child.wait(), ""
        finally:
            probing.cancel()
            with suppress(asyncio.CancelledError):
                await probing

    async def _start(self) -> Child:
        context, container, environment = self._context, self._container, self._environment()
        command = start_command(
            context.layout,
            context.pod,
            context.network_namespace,
            container.working_dir,
            command_of(container, environment),
        )
        child = await children.start(command, environment=environment, log=self._log)
        self._record = ProcessRecord(
            role="pod",
            name=f"{context.pod.name}.{container.name}",
            pid=child.pid,
            since=child.started,
            node=context.pod.node,
            namespace=context.pod.namespace,
            pod=context.pod.name,
            container=container.name,
            restarts=self.state.restarts,
        )
        await asyncio.to_thread(context.registry.add, self._record)
        return child

    @property
    def _log(self) -> Path:
        pod = self._context.pod
        return self._context.layout.pod_log(pod.namespace, pod.name, self._container.name)

    def _environment(self) -> dict[str, str]:
        base = base_environment(os.environ, self._context.pod)
        own = environment_of(self._context.pod, self._container)
        return instance_environment(self._context.layout, base | own)

    async def _probe_all(self, child: Child) -> None:
        container, pod = self._container, self._context.pod
        prober = Prober(
            namespace=self._context.network_namespace,
            address=pod.addresses[0],
            spec=pod.spec,
            container=container,
            run_command=self.execute,
        )
        if container.startup_probe is not None:
            await self._until_success(prober, container.startup_probe, child)
        if container.readiness_probe is None:
            self._set(ready=True)
        async with asyncio.TaskGroup() as group:
            if container.readiness_probe is not None:
                group.create_task(self._keep_ready(prober, container.readiness_probe))
            if container.liveness_probe is not None:
                group.create_task(self._keep_alive(prober, container.liveness_probe, child))

    async def _until_success(self, prober: Prober, probe: Probe, child: Child) -> None:
        """A startup probe: `failureThreshold` periods without success end the container."""
        deadline = time.monotonic() + probe.initial_delay_seconds + probe.failure_threshold * probe.period_seconds
        await asyncio.sleep(probe.initial_delay_seconds)
        while not await self._succeeds(prober, probe):
            if time.monotonic() > deadline:
                await child.stop(self._context.pod.spec.termination_grace_period_seconds)
            await asyncio.sleep(min(_IMPATIENCE, probe.period_seconds))

    async def _keep_ready(self, prober: Prober, probe: Probe) -> None:
        await asyncio.sleep(probe.initial_delay_seconds)
        failures = successes = 0
        while True:
            if await self._succeeds(prober, probe):
                failures, successes = 0, successes + 1
            else:
                failures, successes = failures + 1, 0
            if successes >= probe.success_threshold:
                self._set(ready=True, message="")
            elif failures >= probe.failure_threshold:
                self._set(ready=False)
            period = probe.period_seconds if self.state.ready else min(_IMPATIENCE, probe.period_seconds)
            await asyncio.sleep(period)

    async def _keep_alive(self, prober: Prober, probe: Probe, child: Child) -> None:
        await asyncio.sleep(probe.initial_delay_seconds)
        failures = 0
        while failures < probe.failure_threshold:
            await asyncio.sleep(probe.period_seconds)
            failures = 0 if await self._succeeds(prober, probe) else failures + 1
        await child.stop(self._context.pod.spec.termination_grace_period_seconds)

    async def _succeeds(self, prober: Prober, probe: Probe) -> bool:
        try:
            await prober.probe(probe)
        except LocalError as error:
            self._set(message=f"probe: {error}")
            return False
        return True

    def _set(self, **changes: object) -> None:
        changed = msgspec.structs.replace(self.state, **changes)
        if changed != self.state:
            self.state = changed
            self._on_change(changed)
