"""The names of the mesh, as this node has heard of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from sidestep.mesh.model import Service, Workload
from sidestep.node.dns.names import enclosing


class Directory:
    """Services by host and workloads by service, kept current by `put` and `remove`.

    Every lookup is a dictionary lookup: they are made for each question of each pod.
    """

    def __init__(self) -> None:
        self._services: dict[str, Service] = {}
        self._workloads: dict[str, Workload] = {}
        self._by_host: dict[str, dict[str, Service]] = {}
        self._by_service: dict[str, dict[str, Workload]] = {}
        # By address: those that name it, by uid, the latest last.
        self._owners: dict[str, dict[str, Workload]] = {}
        # How many hosts are below a name.
        self._below: Counter[str] = Counter()
        self._generation = 0

    @property
    def generation(self) -> int:
        """Grows with each change that may change an answer: what was computed at an older one may be stale."""
        return self._generation

    def put(self, resource: Workload | Service) -> None:
        """Adds or replaces a resource; an equal one changes nothing."""
        if isinstance(resource, Workload):
            if self._workloads.get(resource.uid) != resource:
                self._forget_workload(resource.uid)
                self._learn_workload(resource)
        elif self._services.get(resource.key) != resource:
            self._forget_service(resource.key)
            self._services[resource.key] = resource
            self._by_host.setdefault(resource.hostname.lower(), {})[resource.namespace] = resource
            self._below.update(enclosing(resource.hostname.lower()))
            self._generation += 1

    def remove(self, name: str) -> None:
        """Removes the workload of that uid or the service of that key; an unknown one is no error."""
        self._forget_workload(name)
        self._forget_service(name)

    def service(self, host: str, namespace: str) -> Service | None:
        """The service that a client in `namespace` means by `host`, which is in lower case.

        Its own namespace's first, then Kubernetes's own (the canonical one), then the first by namespace. Private
        services are there for their own namespace only.
        """
        found = self._by_host.get(host)
        if found is None:
            return None
        own = found.get(namespace)
        if own is not None:
            return own
        public = [service for service in found.values() if not service.private]
        return min(public, key=lambda service: (not service.canonical, service.namespace), default=None)

    def has_below(self, name: str) -> bool:
        """Whether any host is below `name`, which is in lower case."""
        return name in self._below

    def workloads(self, service: Service) -> Iterable[Workload]:
        """The workloads that serve it, ready or not."""
        return self._by_service.get(service.key, {}).values()

    def namespace_at(self, address: str) -> str:
        """The namespace of the pod that owns `address`; "" when unknown, or when it is a node's own address."""
        owners = self._owners.get(address, {}).values()
        # A WorkloadEntry or ServiceEntry may name the address of a pod; the pod is the one that asks.
        workload = max(reversed(owners), key=lambda owner: bool(owner.node), default=None)
        return "" if workload is None or workload.host_network else workload.namespace

    def _learn_workload(self, workload: Workload) -> None:
        self._workloads[workload.uid] = workload
        for key in workload.services:
            self._by_service.setdefault(key, {})[workload.uid] = workload
        for address in workload.addresses:
            self._owners.setdefault(address, {})[workload.uid] = workload
        self._generation += self._is_answered_by(workload)

    def _forget_workload(self, uid: str) -> None:
        workload = self._workloads.pop(uid, None)
        if workload is None:
            return
        for key in workload.services:
            del self._by_service[key][uid]
            if not self._by_service[key]:
                del self._by_service[key]
        for address in workload.addresses:
            del self._owners[address][uid]
            if not self._owners[address]:
                del self._owners[address]
        self._generation += self._is_answered_by(workload)

    def _forget_service(self, key: str) -> None:
        service = self._services.pop(key, None)
        if service is None:
            return
        host = service.hostname.lower()
        del self._by_host[host][service.namespace]
        for above in enclosing(host):
            self._below[above] -= 1
            if not self._below[above]:
                del self._below[above]
        if not self._by_host[host]:
            del self._by_host[host]
        self._generation += 1

    def _is_answered_by(self, workload: Workload) -> bool:
        """Whether it serves a service that has no address of its own: pods come and go, most change no answer."""
        return any(key in self._services and not self._services[key].addresses for key in workload.services)
