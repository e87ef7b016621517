"""All pods of the instance: resources in, running pods and their status out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sidestep.api.kubernetes.pod import PodSpec
from sidestep.api.meta import ResourceKey
from sidestep.local.addresses import AddressPool
from sidestep.local.agent_client import AgentClient
from sidestep.local.enrolment import PodEnrolment
from sidestep.local.errors import LocalError
from sidestep.local.instance import Instance
from sidestep.local.layout import Layout
from sidestep.local.merge import new_uid
from sidestep.local.namespaces import path_of
from sidestep.local.pod_spec import RunningPod, parse_spec
from sidestep.local.pod_status import PodState, phase_of, status_document
from sidestep.local.pods import PodPlace, PodRunner
from sidestep.local.processes import Registry
from sidestep.local.status_writer import StatusWriter
from sidestep.wire import agent

Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """A pod that has a runner (or, if it cannot run, only a status)."""

    key: ResourceKey
    uid: str
    spec: PodSpec | None
    runner: PodRunner | None
    task: asyncio.Task[None] | None


@dataclass(kw_only=True)
class PodManager:
    """Keeps the pods that run equal to the Pod resources."""

    layout: Layout
    instance: Instance
    registry: Registry
    writer: StatusWriter
    group: asyncio.TaskGroup
    agents: Mapping[str, AgentClient]
    report: Report
    _entries: dict[str, _Entry] = field(default_factory=dict)
    _pools: dict[str, AddressPool] = field(default_factory=dict)

    def reconcile(self, pods: Mapping[ResourceKey, Mapping[str, Any]], enrolled: frozenset[ResourceKey]) -> None:
        """Start, end and (un)enrol what differs. Returns at once; work goes on in tasks."""
        present = {document["metadata"].get("uid") for document in pods.values()}
        for key, document in pods.items():
            entry = self._entries.get(document["metadata"].get("uid", ""))
            if entry is None:
                self._begin(key, document, is_enrolled=key in enrolled)
            elif "deletionTimestamp" in document["metadata"]:
                self._end(entry)
            elif entry.runner is not None and entry.runner.enrolment is not None:
                entry.runner.enrolment.want(enrolled=key in enrolled)
        for uid, entry in self._entries.items():
            if uid not in present:
                self._end(entry)

    def _begin(self, key: ResourceKey, document: Mapping[str, Any], *, is_enrolled: bool) -> None:
        """A pod that does not run yet: first it gets a uid and a node, then it is started."""
        uid = document["metadata"].get("uid")
        if uid and "deletionTimestamp" in document["metadata"]:
            self.writer.remove(key, uid)
        elif not uid or not (document.get("spec") or {}).get("nodeName"):
            self.writer.assign(key, uid=uid or new_uid(), node=self._place(document))
        elif self._name_is_free(key):
            self._start(key, uid, document, is_enrolled=is_enrolled)

    def agent_forgot(self, node: str) -> None:
        """The node's agent was restarted: enrol its pods again."""
        for entry in self._entries.values():
            if entry.runner is not None and entry.runner.pod.node == node and entry.runner.enrolment is not None:
                entry.runner.enrolment.agent_forgot()

    def state_of(self, uid: str) -> PodState | None:
        entry = self._entries.get(uid)
        return entry.runner.state if entry is not None and entry.runner is not None else None

    def _name_is_free(self, key: ResourceKey) -> bool:
        """A pod that replaces another of the same name waits for its end."""
        return all(entry.key != key for entry in self._entries.values())

    def _place(self, document: Mapping[str, Any]) -> str:
        """The node that the manifest names, otherwise the one with the fewest pods."""
        wanted = (document.get("spec") or {}).get("nodeName")
        if wanted:
            return str(wanted)
        node = min(self.instance.nodes, key=lambda name: (len(self._pool(name)) + self.writer.pending(name), name))
        self.writer.expect(node)
        return node

    def _pool(self, node: str) -> AddressPool:
        if node not in self._pools:
            self._pools[node] = AddressPool(self.instance.node(node))
        return self._pools[node]

    def _start(self, key: ResourceKey, uid: str, document: Mapping[str, Any], *, is_enrolled: bool) -> None:
        spec: PodSpec | None = None
        try:
            spec = parse_spec(document)
            runner = self._runner(key, uid, document, spec)
        except LocalError as error:
            self.report(f"pod {key.namespace}/{key.name}: {error}")
            self.writer.status(key, uid, status_document(PodState(failure=str(error)), spec))
            self._entries[uid] = _Entry(key=key, uid=uid, spec=spec, runner=None, task=None)
            return
        if runner.enrolment is not None:
            runner.enrolment.want(enrolled=is_enrolled)
        task = self.group.create_task(self._run(key, runner), name=f"pod {key.namespace}/{key.name}")
        self._entries[uid] = _Entry(key=key, uid=uid, spec=spec, runner=runner, task=task)

    def _runner(self, key: ResourceKey, uid: str, document: Mapping[str, Any], spec: PodSpec) -> PodRunner:
        if spec.node_name not in self.instance.nodes:
            nodes = ", ".join(self.instance.nodes)
            raise LocalError(f"spec.nodeName is {spec.node_name!r}, but the nodes are {nodes}")
        plan = self.instance.node(spec.node_name)
        address, address6 = self._pool(plan.name).take()
        metadata = document["metadata"]
        pod = RunningPod(
            uid=uid,
            name=key.name,
            namespace=key.namespace,
            node=plan.name,
            host_address=str(plan.address),
            addresses=tuple(str(a) for a in (address, address6) if a is not None),
            labels=metadata.get("labels") or {},
            annotations=metadata.get("annotations") or {},
            spec=spec,
        )
        place = PodPlace(layout=self.layout, registry=self.registry, plan=plan, address=address, address6=address6)
        return PodRunner(
            place,
            pod,
            enrolment=self._enrolment(key, pod),
            on_state=lambda state: self._changed(key, pod, state),
        )

    def _enrolment(self, key: ResourceKey, pod: RunningPod) -> PodEnrolment | None:
        client = self.agents.get(pod.node)
        if client is None:
            return None

        async def annotate(enrolled: bool) -> None:
            await self.writer.annotate(key, pod.uid, enrolled=enrolled)

        def report(problem: str) -> None:
            if problem:
                self.report(f"pod {key.namespace}/{key.name}: {problem}")

        message = agent.Pod(
            uid=pod.uid,
            name=pod.name,
            namespace=pod.namespace,
            service_account=pod.service_account,
            network_namespace=str(path_of(self.instance.pod_namespace(pod.uid))),
            addresses=pod.addresses,
        )
        return PodEnrolment(client, message, annotate=annotate, report=report)

    async def _run(self, key: ResourceKey, runner: PodRunner) -> None:
        try:
            await runner.run()
        finally:
            self._pool(runner.pod.node).give_back(runner.place.address)
            self._entries.pop(runner.pod.uid, None)
        self.writer.remove(key, runner.pod.uid)

    def _end(self, entry: _Entry) -> None:
        if entry.runner is not None:
            entry.runner.end()
        else:
            self.writer.remove(entry.key, entry.uid)

    def _changed(self, key: ResourceKey, pod: RunningPod, state: PodState) -> None:
        self.writer.status(key, pod.uid, status_document(state, pod.spec))
        if state.failure:
            self.report(f"pod {key.namespace}/{key.name}: {phase_of(state, pod.spec)}: {state.failure}")
