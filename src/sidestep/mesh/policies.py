"""AuthorizationPolicy → layer 4 policies.

What layer 4 cannot see (methods, paths, hosts, request principals, …) is dealt with as ambient does: an ALLOW rule
that asks for it is dropped, so that it allows nothing; a DENY rule is enforced without it, unless nothing else is left
of one of its clauses, which then never matches. A condition tells. A value that makes no sense counts as something
that layer 4 cannot see.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from sidestep.api.istio.authorization_policy import AuthorizationPolicy
from sidestep.mesh.model import Action, Match, Policy, PolicyScope, Rule
from sidestep.mesh.policy_rules import layer4_rule
from sidestep.mesh.settings import Condition, MeshSettings

_DRY_RUN = "istio.io/dry-run"
_LAYER4, _WAYPOINT = "ZtunnelAccepted", "WaypointAccepted"
_UNSUPPORTED = "UnsupportedValue"


class PolicyDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """A policy, and the labels of the workloads that list it (selector scope)."""

    policy: Policy
    selector: Mapping[str, str] = {}


def authorization_policy(
    resource: AuthorizationPolicy, settings: MeshSettings
) -> tuple[PolicyDefinition | None, Condition]:
    """The layer 4 policy, if there is one, and what to tell about it."""
    reason = _not_for_layer4(resource)
    if reason is not None:
        return None, reason
    namespace, spec = resource.metadata.namespace, resource.spec
    action = Action.DENY if spec.action == "DENY" else Action.ALLOW
    translated = [layer4_rule(rule, namespace) for rule in spec.rules]
    kept = tuple(rule for rule, unseen in translated if action is Action.DENY or not unseen)
    unseen = sorted({name for _, names in translated for name in names})
    selector = spec.selector.match_labels if spec.selector else {}
    policy = Policy(
        name=resource.metadata.name,
        namespace=namespace,
        scope=_scope(namespace, selector, settings),
        action=action,
        rules=kept,
    )
    return PolicyDefinition(policy=policy, selector=selector), _told(resource, policy, unseen)


def _scope(namespace: str, selector: Mapping[str, str], settings: MeshSettings) -> PolicyScope:
    if selector:
        return PolicyScope.WORKLOAD_SELECTOR
    return PolicyScope.GLOBAL if namespace == settings.root_namespace else PolicyScope.NAMESPACE


def _not_for_layer4(resource: AuthorizationPolicy) -> Condition | None:
    spec = resource.spec
    if resource.targets:
        message = "a policy with targetRefs is enforced by waypoints, and there is none"
        return _condition(resource, _WAYPOINT, status=False, reason="TargetNotFound", message=message)
    if spec.action not in ("ALLOW", "DENY"):
        message = f"the action {spec.action} needs a waypoint: at layer 4 there are ALLOW and DENY; not enforced"
        return _condition(resource, _LAYER4, status=False, reason=_UNSUPPORTED, message=message)
    if resource.metadata.annotations.get(_DRY_RUN, "").lower() in ("true", "1", "t"):
        message = f"{_DRY_RUN} is not supported at layer 4: the policy has no effect"
        return _condition(resource, _LAYER4, status=False, reason=_UNSUPPORTED, message=message)
    return None


def _told(resource: AuthorizationPolicy, policy: Policy, unseen: list[str]) -> Condition:
    if not unseen:
        return _condition(resource, _LAYER4, status=True, reason="Accepted", message="enforced by node proxies")
    found = f"layer 4 cannot see: {', '.join(unseen)}; a waypoint is needed for that."
    dead = [str(number) for number, rule in enumerate(policy.rules) if never_matches(rule)]
    useless = policy.action is Action.DENY and len(dead) == len(policy.rules)
    if policy.action is Action.ALLOW:
        effect = "The rules that ask for it are left out, so less is allowed than the policy says"
    elif useless:
        effect = "No rule can match without it: the policy denies nothing"
    elif dead:
        effect = f"Rules that cannot match without it (counted from 0: {', '.join(dead)}) deny nothing"
    else:
        effect = "The rest of each rule is enforced, so more is denied than the policy says"
    return _condition(resource, _LAYER4, status=not useless, reason=_UNSUPPORTED, message=f"{found} {effect}")


def never_matches(rule: Rule) -> bool:
    """True if one of its clauses has nothing but empty matches."""
    return any(clause.matches and all(match == Match() for match in clause.matches) for clause in rule.clauses)


def _condition(resource: AuthorizationPolicy, kind: str, *, status: bool, reason: str, message: str) -> Condition:
    return Condition(resource=resource.key, type=kind, status=status, reason=reason, message=message)
