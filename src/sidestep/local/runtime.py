"""The process behind `sidestep up`: brings everything up, keeps it up, and ends on a signal."""

from __future__ import annotations

import asyncio
import math
import os
import secrets
import time

import httpx
import msgspec

from sidestep.local import host_firewall, instance, launch, logs, network
from sidestep.local.agent_client import AgentClient
from sidestep.local.errors import ExitCode, LocalError, UnavailableError, error_of
from sidestep.local.files import write_atomically
from sidestep.local.instance import Instance
from sidestep.local.layout import Layout
from sidestep.local.manifests import describe, read_manifests
from sidestep.local.options import UpOptions
from sidestep.local.pod_manager import PodManager
from sidestep.local.processes import ProcessPlan, ProcessRecord, Registry, keep_running
from sidestep.local.progress import Progress
from sidestep.local.readiness import Check, agent_ready, free_port, page_answers
from sidestep.local.reconciler import Reconciler
from sidestep.local.seed import prepare_resources
from sidestep.local.status_writer import StatusWriter
from sidestep.local.store import Store
from sidestep.local.waiting import wait_for_pods
from sidestep.local.watcher import FolderWatcher

_CONTROLLER_METRICS_PORT = 15014
_START_SECONDS = 60.0
_LOG_CHECK_SECONDS = 10.0
_HOPELESS = frozenset({ExitCode.USAGE, ExitCode.BAD_DATA, ExitCode.NO_INPUT, ExitCode.UNAVAILABLE, ExitCode.OS_ERROR})
"""Exit codes with which our own processes end when starting them once more, unchanged, would not help."""


class Runtime:
    """One run of an instance. The caller holds `only_runtime` and cleans up after `run` returned."""

    def __init__(
        self, layout: Layout, options: UpOptions, progress: Progress, *, stop: asyncio.Event, wait: float | None
    ) -> None:
        self._layout = layout
        self._options = options
        self._progress = progress
        self._stop = stop
        self._wait = wait
        self._store = Store(layout)
        self._registry = Registry(layout.processes)
        self._agents: dict[str, AgentClient] = {}
        self._manager: PodManager | None = None

    async def run(self) -> None:
        """Until `stop` is set; its children are still there then."""
        manifests = await asyncio.to_thread(read_manifests, self._options.files)
        for problem in manifests.ignored:
            self._progress.warning(describe(problem))
        previous = instance.load(self._layout.instance_file)
        plan = await asyncio.to_thread(self._make_network, previous)
        self._record_itself()
        await asyncio.to_thread(prepare_resources, self._store, manifests.resources, plan, previous)
        try:
            async with asyncio.TaskGroup() as group:
                work = group.create_task(self._work(plan))
                stopping = group.create_task(self._stop.wait())
                await asyncio.wait([work, stopping], return_when=asyncio.FIRST_COMPLETED)
                work.cancel()
                stopping.cancel()
        except* LocalError as errors:
            raise first_of(errors) from errors
        finally:
            for agent in self._agents.values():
                await agent.close()

    async def _work(self, plan: Instance) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._bound_logs())
            if self._options.mesh:
                await self._start_mesh(plan, group)
            watcher = FolderWatcher(self._layout.resources)
            writer = StatusWriter(self._store, on_written=watcher.poke)
            self._manager = PodManager(
                layout=self._layout,
                instance=plan,
                registry=self._registry,
                writer=writer,
                group=group,
                agents=self._agents,
                report=self._progress.warning,
            )
            reconciler = Reconciler(
                store=self._store,
                instance=plan,
                manager=self._manager,
                watcher=watcher,
                report=self._progress.warning,
            )
            group.create_task(watcher.run())
            group.create_task(writer.run())
            group.create_task(reconciler.run())
            self._progress.ready(f"{len(plan.nodes)} node{'s' * (len(plan.nodes) > 1)} up")
            await self._await_pods()

    async def _await_pods(self) -> None:
        """Shows how far the pods are; without `wait` for as long as it takes, and a pod that cannot run is no end."""
        try:
            await asyncio.to_thread(
                wait_for_pods,
                Store(self._layout),
                seconds=math.inf if self._wait is None else self._wait,
                say=self._progress.count,
                stopped=self._stop.is_set,
            )
        except UnavailableError as error:
            if self._wait is not None:
                raise
            self._progress.warning(str(error))

    def _make_network(self, previous: Instance | None) -> Instance:
        layout = self._layout
        with network.allocation_lock():
            slot, ipv6 = network.choose_slot()
            plan = Instance(
                id=layout.instance_id,
                slot=slot,
                nodes=instance.node_names(self._options.nodes),
                ipv6=ipv6,
                controller_metrics_port=free_port(_CONTROLLER_METRICS_PORT),
                trust_domain=self._options.trust_domain,
            )
            write_atomically(layout.instance_file, msgspec.json.encode(plan))
            self._progress.step(f"network {plan.underlay}, pods {plan.pod_range}, services {plan.service_range}")
            network.create_host(plan)
        if previous is not None and previous.slot != slot:
            self._progress.warning("other address ranges than before: Services get new addresses")
        for node in plan.node_plans():
            network.create_node(node)
        if len(plan.nodes) > 1 and (obstacle := host_firewall.obstacle(plan.bridge)) is not None:
            self._progress.warning(obstacle)
        return plan

    async def _start_mesh(self, plan: Instance, group: asyncio.TaskGroup) -> None:
        """All at once: an agent waits by itself for the controller, and what takes time is each one's own start."""
        layout = self._layout
        layout.root_certificate.unlink(missing_ok=True)  # of a run before, perhaps with another authority
        for name in plan.nodes:
            write_atomically(layout.join_tokens / name, secrets.token_hex(32).encode(), mode=0o600)
            layout.node(name).mkdir(parents=True, exist_ok=True)
        each = "agent and Envoy" if len(plan.nodes) == 1 else f"{len(plan.nodes)} agents and Envoys"
        self._progress.step(f"starting the controller, {each}")
        self._keep(launch.controller(layout, plan, self._options), group)
        for node in plan.node_plans():
            self._agents[node.name] = AgentClient(layout.agent_socket(node.name), node.name)
            self._keep(launch.agent(layout, node, self._options), group)
        async with httpx.AsyncClient(trust_env=False) as client:
            url = f"{launch.controller_metrics(plan)}/healthz/ready"
            await asyncio.gather(
                self._until("controller", "controller.log", page_answers(client, url)),
                *(self._until(name, f"{name}.log", agent_ready(agent)) for name, agent in self._agents.items()),
            )

    def _keep(self, plan: ProcessPlan, group: asyncio.TaskGroup) -> None:
        group.create_task(keep_running(plan, self._layout, self._registry, on_restart=self._died))

    def _died(self, plan: ProcessPlan, code: int) -> None:
        subject = plan.role if plan.role == plan.name else f"the agent of {plan.name}"
        if self._manager is None and code in _HOPELESS:
            raise error_of(code, f"{subject}: {logs.last_line(plan.log).removeprefix('sidestep: ')}")
        self._progress.warning(f"{subject} exited with {code} and is restarted; see {plan.log}")
        if plan.role == "node" and self._manager is not None:
            self._manager.agent_forgot(plan.node)

    async def _until(self, what: str, log: str, holds: Check) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while (reason := await holds()) is not None:
            if time.monotonic() > deadline:
                path = self._layout.logs / log
                raise UnavailableError(f"{what} is not ready after {_START_SECONDS:.0f} s ({reason}); see {path}")
            await asyncio.sleep(0.05)
        self._progress.step(f"{what} is ready")

    def _record_itself(self) -> None:
        self._registry.add(ProcessRecord(role="runtime", name="runtime", pid=os.getpid(), since=time.time()))

    async def _bound_logs(self) -> None:
        while True:
            await asyncio.to_thread(logs.bound, self._layout.logs)
            await asyncio.sleep(_LOG_CHECK_SECONDS)


def first_of(group: BaseExceptionGroup[LocalError]) -> LocalError:
    """The one sentence to show."""
    for error in group.exceptions:
        return error if isinstance(error, LocalError) else first_of(error)
    raise AssertionError("an exception group is never empty")
