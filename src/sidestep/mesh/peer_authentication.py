"""PeerAuthentication → layer 4 policies: who may talk in plain text to which workload, at which port.

The mode of a port is the first that is set of: the port's in the policy that selects the workload, that policy's own,
the namespace's, the mesh's; without any, plain text is let in. At each level the oldest policy counts. STRICT refuses
plain text; DISABLE is as good as PERMISSIVE, since a mesh peer is never refused for using the mesh.

As in ambient, STRICT alone is one policy for all, `istio_converted_static_strict`; exceptions by port become a policy
for each PeerAuthentication that makes some.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from sidestep.api.meta import ResourceKey
from sidestep.mesh.model import Action, Clause, Match, Policy, PolicyScope, Rule, StringMatch
from sidestep.mesh.selectors import Selecting, SelectorIndex
from sidestep.mesh.settings import NEWEST, Condition

STATIC_STRICT = "istio_converted_static_strict"
_CONVERTED = "converted_peer_authentication_"
_PLAIN_TEXT = Match(not_principals=(StringMatch(),))


class Mode(enum.Enum):
    """What plain text meets: the names are those of the API."""

    UNSET = "UNSET"
    DISABLE = "DISABLE"
    PERMISSIVE = "PERMISSIVE"
    STRICT = "STRICT"


class PeerPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What counts of one PeerAuthentication."""

    name: str
    namespace: str
    created: datetime | None = None
    """One without a date counts as the newest."""
    selector: Mapping[str, str] = {}
    mode: Mode = Mode.UNSET
    port_modes: Mapping[int, Mode] = {}

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"

    @property
    def age(self) -> tuple[datetime, str]:
        """Sorts the oldest first, of equally old ones the first by name."""
        return (self.created or NEWEST, self.name)


class PeerPolicies:
    """The PeerAuthentications of a mesh, ready to tell which policies a workload has."""

    def __init__(self, policies: Iterable[PeerPolicy], root_namespace: str) -> None:
        self._root = root_namespace
        ordered = sorted(policies, key=lambda policy: policy.age)
        self._any = bool(ordered)
        self._by_namespace: dict[str, Mode] = {}
        for policy in ordered:
            if not policy.selector:
                self._by_namespace.setdefault(policy.namespace, policy.mode)
        self._selecting = [policy for policy in ordered if policy.selector and policy.namespace != root_namespace]
        self._index = SelectorIndex(
            Selecting(namespace=policy.namespace, labels=policy.selector, item=policy) for policy in self._selecting
        )
        self._converted = {policy.key: self._convert(policy) for policy in self._selecting}
        self.conditions = _conditions(ordered, root_namespace)

    def policies(self) -> tuple[Policy, ...]:
        """All policies that some workload may list."""
        if not self._any:
            return ()
        strict = Policy(
            name=STATIC_STRICT,
            namespace=self._root,
            scope=PolicyScope.WORKLOAD_SELECTOR,
            action=Action.DENY,
            rules=(_rule(_PLAIN_TEXT),),
        )
        return (strict, *(policy for policy in self._converted.values() if policy is not None))

    def keys_for(self, namespace: str, labels: Mapping[str, str]) -> tuple[str, ...]:
        """Keys of the policies that hold for a workload of those labels: none or one."""
        if not self._any:
            return ()
        selected = self._index.selecting(namespace, labels)
        if selected:
            converted = self._converted[selected[0].key]
            if converted is not None:
                return (converted.key,)
        mode = self._inherited(namespace, selected[0].mode if selected else Mode.UNSET)
        return (f"{self._root}/{STATIC_STRICT}",) if mode is Mode.STRICT else ()

    def _inherited(self, namespace: str, own: Mode) -> Mode:
        for mode in (own, self._by_namespace.get(namespace), self._by_namespace.get(self._root)):
            if mode is not None and mode is not Mode.UNSET:
                return mode
        return Mode.PERMISSIVE

    def _convert(self, policy: PeerPolicy) -> Policy | None:
        """None if all ports are alike."""
        mode = self._inherited(policy.namespace, policy.mode)
        ports = _exceptions(policy, mode)
        if not ports:
            return None
        if mode is Mode.STRICT:
            exempt = tuple(Clause(matches=(Match(not_destination_ports=(port,)),)) for port in ports)
            rules: tuple[Rule, ...] = (Rule(clauses=(Clause(matches=(_PLAIN_TEXT,)), *exempt)),)
        else:
            rules = tuple(_rule(Match(not_principals=(StringMatch(),), destination_ports=(port,))) for port in ports)
        return Policy(
            name=f"{_CONVERTED}{policy.name}",
            namespace=policy.namespace,
            scope=PolicyScope.WORKLOAD_SELECTOR,
            action=Action.DENY,
            rules=rules,
        )


def _rule(match: Match) -> Rule:
    return Rule(clauses=(Clause(matches=(match,)),))


def _exceptions(policy: PeerPolicy, mode: Mode) -> list[int]:
    """Ports that are strict where the rest is not, or the other way round."""
    strict = mode is Mode.STRICT
    return sorted(
        port for port, own in policy.port_modes.items() if own is not Mode.UNSET and (own is Mode.STRICT) is not strict
    )


def _conditions(policies: Sequence[PeerPolicy], root_namespace: str) -> tuple[Condition, ...]:
    """What is wrong with them; nothing is said about those that just work."""
    result = []
    in_force: dict[str, PeerPolicy] = {}
    for policy in policies:
        message = ""
        if policy.selector:
            if policy.namespace == root_namespace:
                message = "a policy of the root namespace cannot have a selector: nothing is selected"
        else:
            oldest = in_force.setdefault(policy.namespace, policy)
            if oldest is not policy:
                message = f"{oldest.name} is older and counts for the whole namespace"
            elif policy.port_modes:
                message = "portLevelMtls needs a selector: the ports' modes are ignored"
        if message:
            result.append(
                Condition(
                    resource=ResourceKey(kind="PeerAuthentication", namespace=policy.namespace, name=policy.name),
                    type="Accepted",
                    status=False,
                    reason="Ignored",
                    message=message,
                )
            )
    return tuple(result)
