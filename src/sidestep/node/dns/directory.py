"""The names of the mesh, as this node has heard of them."""

from __future__ import annotations

from collections.abc import Iterable

from sidestep.mesh.model import Service, Workload


class Directory:
    """Services by host and workloads by service, kept current by `put` and `remove`.

    Every lookup is a dictionary lookup: they are made for each question of each pod.
    """

    def __init__(self) -> None:
        self._services: dict[str, Service] = {}
        self._workloads: dict[str, Workload] = {}
        self._by_host: dict[str, dict[str, Service]] = {}
        self._by_service: dict[str, dict[str, Workload]] = {}
        self._owners: dict[str, str] = {}
        self._generation = 0

    @property
    def generation(self) -> int:
        """Grows with each change: what was computed at an older one may be stale."""
        return self._generation

    def put(self, resource: Workload | Service) -> None:
        """Adds or replaces a resource; an equal one changes nothing."""
        name = resource.uid if isinstance(resource, Workload) else resource.key
        known = self._workloads.get(name) if isinstance(resource, Workload) else self._services.get(name)
        if known == resource:
            return
        self.remove(name)
        self._generation += 1
        if isinstance(resource, Workload):
            self._workloads[name] = resource
            for key in resource.services:
                self._by_service.setdefault(key, {})[name] = resource
            for address in resource.addresses:
                self._owners[address] = name
        else:
            self._services[name] = resource
            self._by_host.setdefault(resource.hostname.lower(), {})[resource.namespace] = resource

    def remove(self, name: str) -> None:
        """Removes the workload of that uid or the service of that key; an unknown one is no error."""
        workload, service = self._workloads.pop(name, None), self._services.pop(name, None)
        if workload is not None:
            self._forget_workload(workload)
        if service is not None:
            host = service.hostname.lower()
            del self._by_host[host][service.namespace]
            if not self._by_host[host]:
                del self._by_host[host]
        if workload is not None or service is not None:
            self._generation += 1

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

    def workloads(self, service: Service) -> Iterable[Workload]:
        """The workloads that serve it, ready or not."""
        return self._by_service.get(service.key, {}).values()

    def namespace_at(self, address: str) -> str:
        """The namespace of the pod that owns `address`; "" when unknown, or when it is a node's own address."""
        workload = self._workloads.get(self._owners.get(address, ""))
        return "" if workload is None or workload.host_network else workload.namespace

    def _forget_workload(self, workload: Workload) -> None:
        for key in workload.services:
            del self._by_service[key][workload.uid]
            if not self._by_service[key]:
                del self._by_service[key]
        for address in workload.addresses:
            if self._owners.get(address) == workload.uid:
                del self._owners[address]
