"""What a workload gets from its labels: the services that it serves, the policies that select it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from sidestep.mesh.definitions import ServiceDefinition
from sidestep.mesh.model import Port
from sidestep.mesh.peer_authentication import PeerPolicies
from sidestep.mesh.policies import PolicyDefinition
from sidestep.mesh.selectors import Selecting, SelectorIndex
from sidestep.mesh.settings import MeshSettings

Ports = tuple[Port, ...]


class Membership:
    """The services and policies of a mesh, ready to be asked for each of its workloads."""

    def __init__(
        self,
        services: Mapping[str, ServiceDefinition],
        policies: Iterable[PolicyDefinition],
        peers: PeerPolicies,
        settings: MeshSettings,
    ) -> None:
        self.services = services
        self._peers = peers
        self._selecting_services = SelectorIndex(
            Selecting(namespace=definition.service.namespace, labels=definition.selector, item=definition)
            for definition in services.values()
        )
        # A selector in the root namespace reaches into all namespaces.
        self._selecting_policies = SelectorIndex(
            Selecting(
                namespace="" if policy.namespace == settings.root_namespace else policy.namespace,
                labels=definition.selector,
                item=policy.key,
            )
            for definition in policies
            for policy in (definition.policy,)
        )

    def services_of(
        self, namespace: str, labels: Mapping[str, str], ports: Callable[[ServiceDefinition], Ports]
    ) -> dict[str, Ports]:
        """By service key, the ports at which a workload of those labels serves it."""
        return {
            definition.key: ports(definition) for definition in self._selecting_services.selecting(namespace, labels)
        }

    def policies_of(self, namespace: str, labels: Mapping[str, str]) -> tuple[str, ...]:
        """Keys of the policies that a workload of those labels lists."""
        selected = self._selecting_policies.selecting(namespace, labels)
        return tuple(sorted((*selected, *self._peers.keys_for(namespace, labels))))
