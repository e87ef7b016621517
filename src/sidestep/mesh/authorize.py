"""Layer 4 policy, evaluated at the destination. Pure; the semantics are ambient's.

Policies that cover a workload: global ones, those of its namespace, and the selector-scoped ones that it lists. A
matching DENY refuses; without ALLOW policies the rest is allowed; with them, one must match. Dry-run policies decide
nothing.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import msgspec

from sidestep.mesh.model import (
    Action,
    Clause,
    Match,
    Policy,
    PolicyScope,
    Rule,
    ServiceAccountMatch,
    StringMatch,
    Workload,
)

Value = TypeVar("Value")
_SCHEME = "spiffe://"
_IDENTITY_PARTS = 5


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """A connection as its destination sees it."""

    source_identity: str | None
    """SPIFFE id that the peer proved, `spiffe://td/ns/…/sa/…`; None for plain text."""
    source_ip: str
    destination_ip: str
    destination_port: int


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a connection may be; `policy_key` is the policy that decided, None if none did."""

    allowed: bool
    policy_key: str | None
    reason: str


class _Source(msgspec.Struct, frozen=True, kw_only=True):
    """An identity taken apart; all empty without one."""

    principal: str = ""
    namespace: str = ""
    service_account: str = ""


def is_allowed(connection: Connection, workload: Workload, policies: Iterable[Policy]) -> Decision:
    """Decides by those of `policies` that cover `workload`, in the order of their keys."""
    covering = sorted(
        (policy for policy in policies if covers(policy, workload) and not policy.dry_run),
        key=lambda policy: policy.key,
    )
    for policy in covering:
        if policy.action is Action.DENY and matches(policy, connection):
            return Decision(allowed=False, policy_key=policy.key, reason=f"denied by policy {policy.key}")
    allowing = [policy for policy in covering if policy.action is Action.ALLOW]
    if not allowing:
        return Decision(allowed=True, policy_key=None, reason="no ALLOW policy covers the workload")
    for policy in allowing:
        if matches(policy, connection):
            return Decision(allowed=True, policy_key=policy.key, reason=f"allowed by policy {policy.key}")
    keys = ", ".join(policy.key for policy in allowing)
    return Decision(allowed=False, policy_key=None, reason=f"no ALLOW policy matches ({keys})")


def covers(policy: Policy, workload: Workload) -> bool:
    """True if `policy` has a say about connections to `workload`."""
    match policy.scope:
        case PolicyScope.GLOBAL:
            return True
        case PolicyScope.NAMESPACE:
            return policy.namespace == workload.namespace
        case PolicyScope.WORKLOAD_SELECTOR:
            return policy.key in workload.authorization_policies


def matches(policy: Policy, connection: Connection) -> bool:
    """True if a rule of `policy` matches, whatever its action."""
    source = _source(connection.source_identity)
    return any(_rule_matches(rule, connection, source) for rule in policy.rules)


def _rule_matches(rule: Rule, connection: Connection, source: _Source) -> bool:
    return all(_clause_matches(clause, connection, source) for clause in rule.clauses)


def _clause_matches(clause: Clause, connection: Connection, source: _Source) -> bool:
    """A clause without matches matches everything; an empty match in it matches nothing."""
    if not clause.matches:
        return True
    return any(match != _EMPTY and _match_matches(match, connection, source) for match in clause.matches)


def _match_matches(match: Match, connection: Connection, source: _Source) -> bool:
    def namespace(wanted: StringMatch) -> bool:
        return _string_matches(wanted, source.namespace)

    def account(wanted: ServiceAccountMatch) -> bool:
        return (wanted.namespace, wanted.service_account) == (source.namespace, source.service_account)

    def principal(wanted: StringMatch) -> bool:
        # A plain-text peer has no principal: not even `*` (the empty prefix) is its.
        return bool(source.principal) and _string_matches(wanted, source.principal)

    def source_block(block: str) -> bool:
        return _in_block(connection.source_ip, block)

    def destination_block(block: str) -> bool:
        return _in_block(connection.destination_ip, block)

    def port(wanted: int) -> bool:
        return wanted == connection.destination_port

    return (
        _field(match.namespaces, match.not_namespaces, namespace)
        and _field(match.service_accounts, match.not_service_accounts, account)
        and _field(match.principals, match.not_principals, principal)
        and _field(match.source_blocks, match.not_source_blocks, source_block)
        and _field(match.destination_blocks, match.not_destination_blocks, destination_block)
        and _field(match.destination_ports, match.not_destination_ports, port)
    )


def _field(wanted: Sequence[Value], unwanted: Sequence[Value], is_it: Callable[[Value], bool]) -> bool:
    """Any of `wanted`, if there are some, and none of `unwanted`."""
    if wanted and not any(is_it(value) for value in wanted):
        return False
    return not any(is_it(value) for value in unwanted)


def _string_matches(match: StringMatch, value: str) -> bool:
    if match.exact is not None:
        return value == match.exact
    if match.prefix is not None:
        return value.startswith(match.prefix)
    if match.suffix is not None:
        return value.endswith(match.suffix)
    return bool(value)


def _source(identity: str | None) -> _Source:
    """Takes `spiffe://td/ns/NAMESPACE/sa/ACCOUNT` apart; another form of id has a principal alone."""
    if identity is None or not identity.startswith(_SCHEME):
        return _Source()
    principal = identity.removeprefix(_SCHEME)
    parts = principal.split("/")
    if len(parts) == _IDENTITY_PARTS and (parts[1], parts[3]) == ("ns", "sa"):
        return _Source(principal=principal, namespace=parts[2], service_account=parts[4])
    return _Source(principal=principal)


def _in_block(address: str, block: str) -> bool:
    return ipaddress.ip_address(address) in _network(block)


@functools.lru_cache(maxsize=4096)
def _network(block: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(block, strict=False)


_EMPTY = Match()
