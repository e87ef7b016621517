"""Resources → pods and rules: the loop that a cluster's controllers, scheduler and kube-proxy would be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from sidestep.api.meta import ResourceKey
from sidestep.api.parse import Resources
from sidestep.local import deployments, service_proxy
from sidestep.local.errors import BadDataError, LocalError
from sidestep.local.instance import Instance
from sidestep.local.merge import Document, terminating
from sidestep.local.pod_manager import PodManager
from sidestep.local.service_addresses import ServiceRanges, addresses_of, with_addresses
from sidestep.local.store import Store
from sidestep.local.times import now
from sidestep.local.typed import enrolled_pods, mesh_of
from sidestep.local.watcher import FolderWatcher

Documents = Mapping[ResourceKey, Document]


class Reconciler:
    """Runs until it is cancelled."""

    def __init__(
        self,
        *,
        store: Store,
        instance: Instance,
        manager: PodManager,
        watcher: FolderWatcher,
        report: Callable[[str], None],
    ) -> None:
        self._store = store
        self._instance = instance
        self._manager = manager
        self._watcher = watcher
        self._report = report
        self._rules = ""
        self._last: Documents | None = None

    async def run(self) -> None:
        while True:
            await self._watcher.next_change()
            documents, resources = await asyncio.to_thread(self._store.read)
            if documents == self._last:
                continue
            self._last = documents
            try:
                await self._step(documents, resources)
            except LocalError as error:
                self._report(str(error))
                self._last = None

    async def _step(self, documents: Documents, resources: Resources) -> None:
        if await asyncio.to_thread(self._change_resources, documents):
            self._watcher.poke()
        pods = {key: document for key, document in documents.items() if key.kind == "Pod"}
        self._manager.reconcile(pods, enrolled_pods(resources))
        await asyncio.to_thread(self._install_rules, resources)

    def _change_resources(self, documents: Documents) -> bool:
        """Deployments make and end pods, Services get addresses; True if anything was written."""
        changed = self._give_addresses(documents)
        pods = [document for key, document in documents.items() if key.kind == "Pod"]
        for key, deployment in documents.items():
            if key.kind == "Deployment":
                own = [pod for pod in pods if deployments.owns(deployment, pod)]
                changed |= self._apply(key.namespace, deployments.plan(deployment, own, now=now()))
        for pod in pods:
            owner = deployments.owner_of(pod)
            namespace = pod["metadata"].get("namespace", "")
            if owner and ResourceKey(kind="Deployment", namespace=namespace, name=owner) not in documents:
                changed |= self._end_pod(namespace, pod["metadata"]["name"])
        return changed

    def _apply(self, namespace: str, actions: deployments.Actions) -> bool:
        changed = False
        for pod in actions.create:
            with self._store.locked():
                self._store.put(ResourceKey(kind="Pod", namespace=namespace, name=pod["metadata"]["name"]), pod)
            changed = True
        for name in actions.delete:
            changed |= self._end_pod(namespace, name)
        return changed

    def _end_pod(self, namespace: str, name: str) -> bool:
        return self._store.update(
            ResourceKey(kind="Pod", namespace=namespace, name=name), lambda pod: terminating(pod, now())
        )

    def _install_rules(self, resources: Resources) -> None:
        rules = service_proxy.ruleset(service_proxy.virtual_ports(mesh_of(resources, self._instance)))
        if rules != self._rules:
            for plan in self._instance.node_plans():
                service_proxy.install(plan.namespace, rules)
            self._rules = rules

    def _give_addresses(self, documents: Documents) -> bool:
        """Allocate cluster addresses to Services that lack them; True if any did."""
        services = {key: document for key, document in documents.items() if key.kind == "Service"}
        taken = [address for document in services.values() for address in addresses_of(document)]
        instance = self._instance
        ranges = ServiceRanges(instance.service_range, instance.service_range6 if instance.ipv6 else None, taken)
        changed = False
        for key in services:
            try:
                changed |= self._store.update(key, lambda service: with_addresses(service, ranges))
            except BadDataError as error:
                self._report(f"{key}: {error}")
        return changed
