"""The mesh as this node has heard of it, indexed for the questions that translation asks."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping

from sidestep.mesh.model import NetworkAddress, Policy, PolicyScope, Service, TunnelProtocol, Workload


class MeshView:
    """Workloads, services and policies, kept current by `put` and `remove`.

    Lookups are by address, by service and by namespace; all are dictionary lookups, since they are made for every
    new destination of every pod. Addresses are those of the node's own network.
    """

    def __init__(self) -> None:
        self._workloads: dict[str, Workload] = {}
        self._services: dict[str, Service] = {}
        self._policies: dict[str, Policy] = {}
        # By address: those that claim it, by uid, the latest last.
        self._owners: dict[str, dict[str, Workload]] = {}
        self._service_at: dict[str, str] = {}
        self._endpoints: dict[str, dict[str, Workload]] = {}
        # ServiceEntries may own whole blocks; there are few of them.
        self._blocks: dict[ipaddress.IPv4Network | ipaddress.IPv6Network, str] = {}

    @property
    def workloads(self) -> Mapping[str, Workload]:
        """By uid."""
        return self._workloads

    @property
    def services(self) -> Mapping[str, Service]:
        """By key."""
        return self._services

    @property
    def policies(self) -> Mapping[str, Policy]:
        """By key."""
        return self._policies

    def put(self, resource: Workload | Service) -> frozenset[str]:
        """Adds or replaces; returns the addresses (or CIDRs) whose meaning may have changed."""
        if isinstance(resource, Workload):
            touched = self._forget_workload(resource.uid)
            self._workloads[resource.uid] = resource
            for address in resource.addresses:
                self._owners.setdefault(address, {})[resource.uid] = resource
            for key in resource.services:
                self._endpoints.setdefault(key, {})[resource.uid] = resource
            return touched | self.addresses_of(resource)
        touched = self._forget_service(resource.key)
        self._services[resource.key] = resource
        for virtual in resource.addresses:
            if virtual.prefix_length is None:
                self._service_at[virtual.address] = resource.key
            else:
                self._blocks[ipaddress.ip_network(_text(virtual), strict=False)] = resource.key
        return touched | frozenset(map(_text, resource.addresses))

    def remove(self, name: str) -> frozenset[str]:
        """Removes the workload or service of that WDS name; returns the addresses whose meaning may have changed."""
        return self._forget_workload(name) | self._forget_service(name)

    def put_policy(self, policy: Policy) -> None:
        """Adds or replaces a policy."""
        self._policies[policy.key] = policy

    def remove_policy(self, key: str) -> None:
        """Removes a policy; an unknown one is no error."""
        self._policies.pop(key, None)

    def workload_at(self, address: str) -> Workload | None:
        """The workload that owns `address`.

        Of several that claim it one that runs on a node wins, whatever a WorkloadEntry or ServiceEntry says; of those
        the latest.
        """
        owners = self._owners.get(address)
        return None if owners is None else max(reversed(owners.values()), key=lambda owner: bool(owner.node))

    def workload_named(self, namespace: str, name: str, address: str) -> Workload | None:
        """The workload of that name among those that claim `address`."""
        owners = self._owners.get(address, {}).values()
        return next((owner for owner in owners if (owner.namespace, owner.name) == (namespace, name)), None)

    def service_at(self, address: str) -> Service | None:
        """The service whose virtual address it is, or whose block it lies in (the smallest block wins).

        A block says nothing about the addresses in it that workloads own.
        """
        key = self._service_at.get(address)
        if key is None and self._blocks and address not in self._owners:
            ip = ipaddress.ip_address(address)
            around = [block for block in self._blocks if ip in block]
            key = self._blocks[max(around, key=lambda block: block.prefixlen)] if around else None
        return None if key is None else self._services[key]

    def addresses(self) -> Iterable[str]:
        """The addresses that the mesh has something to say about; blocks as CIDRs.

        Those of services, and of workloads that take tunnels. Who dials another workload by its own address needs
        no mesh: endpoints of ServiceEntries come and go, and no listener has to name them.
        """
        tunnelled = (
            address
            for workload in self._workloads.values()
            if workload.tunnel_protocol is TunnelProtocol.HBONE
            for address in workload.addresses
        )
        return (*dict.fromkeys(tunnelled), *self._service_at, *map(str, self._blocks))

    def workloads_of(self, service: Service) -> Iterable[Workload]:
        """The workloads that serve it, ready or not."""
        return self._endpoints.get(service.key, {}).values()

    def addresses_of(self, workload: Workload) -> frozenset[str]:
        """The workload's own addresses, and the virtual ones of services that it, or another at its address, serves."""
        serving = (workload, *(owner for each in workload.addresses for owner in self._owners.get(each, {}).values()))
        virtual = (
            _text(address)
            for key in {key for each in serving for key in each.services}
            if key in self._services
            for address in self._services[key].addresses
        )
        return frozenset((*workload.addresses, *virtual))

    def policies_for(self, workload: Workload) -> tuple[Policy, ...]:
        """Those that cover it, by key: global ones, its namespace's, and those that select it."""
        return tuple(
            policy
            for key, policy in sorted(self._policies.items())
            if policy.scope is PolicyScope.GLOBAL
            or (policy.scope is PolicyScope.NAMESPACE and policy.namespace == workload.namespace)
            or (policy.scope is PolicyScope.WORKLOAD_SELECTOR and key in workload.authorization_policies)
        )

    def _forget_workload(self, uid: str) -> frozenset[str]:
        workload = self._workloads.pop(uid, None)
        if workload is None:
            return frozenset()
        touched = self.addresses_of(workload)
        for address in workload.addresses:
            owners = self._owners.get(address, {})
            owners.pop(uid, None)
            if not owners:
                self._owners.pop(address, None)
        for key in workload.services:
            endpoints = self._endpoints[key]
            del endpoints[uid]
            if not endpoints:
                del self._endpoints[key]
        return touched

    def _forget_service(self, key: str) -> frozenset[str]:
        service = self._services.pop(key, None)
        if service is None:
            return frozenset()
        for virtual in service.addresses:
            if self._service_at.get(virtual.address) == key:
                del self._service_at[virtual.address]
        self._blocks = {block: owner for block, owner in self._blocks.items() if owner != key}
        return frozenset(map(_text, service.addresses))


def _text(virtual: NetworkAddress) -> str:
    """`10.0.0.1`, or `10.0.0.0/8` for a block."""
    return virtual.address if virtual.prefix_length is None else f"{virtual.address}/{virtual.prefix_length}"
