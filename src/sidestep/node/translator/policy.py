"""Layer 4 policies → Envoy's RBAC, in the three places where a pod's connections arrive.

Semantics are ambient's (`sidestep.mesh.authorize` is the same in Python): any DENY match refuses; with ALLOW
policies, one of them must match. A rule is an AND of clauses, a clause an OR of matches. Envoy keeps what is asked
about the source (principals) apart from what is asked about the destination (permissions), so a rule becomes one
RBAC policy per combination of its clauses' matches.
"""

from __future__ import annotations

import enum
import ipaddress
import itertools
import re
from collections.abc import Callable, Iterable, Sequence

from sidestep.mesh.model import Action, Clause, Match, Policy, ServiceAccountMatch, StringMatch
from sidestep.node.translator import names
from sidestep.node.translator.algebra import PERMISSIONS, PRINCIPALS
from sidestep.wire import envoy as pb


class Arrival(enum.Enum):
    """How a connection reached the pod, which decides where identity and destination are found."""

    TUNNEL = "tunnel"
    """HBONE: the identity is the peer certificate's, the destination is the authority of the CONNECT request."""
    SAME_NODE = "same-node"
    """The identity is in filter state, set by the source pod's listener."""
    PLAINTEXT = "plaintext"
    """There is no identity."""


def rbac(policies: Iterable[Policy], addresses: Sequence[str], arrival: Arrival) -> dict[Action, pb.RBAC]:
    """RBAC per action, for a pod that has `addresses`. Without ALLOW policies there is no ALLOW entry."""
    result: dict[Action, pb.RBAC] = {}
    for policy in sorted(policies, key=lambda policy: policy.key):
        if policy.dry_run:
            continue
        rules = result.get(policy.action)
        if rules is None:
            action = pb.RBAC.DENY if policy.action is Action.DENY else pb.RBAC.ALLOW
            rules = result[policy.action] = pb.RBAC(action=action)
        for name, entry in _entries(policy, addresses, arrival):
            rules.policies[name].CopyFrom(entry)
    return result


def _entries(policy: Policy, addresses: Sequence[str], arrival: Arrival) -> Iterable[tuple[str, pb.Policy]]:
    for number, rule in enumerate(policy.rules):
        alternatives = [_usable(clause) for clause in rule.clauses]
        for position, matches in enumerate(itertools.product(*alternatives)):
            permission = PERMISSIONS.all_of([_destination(match, addresses, arrival) for match in matches])
            principal = PRINCIPALS.all_of([_source(match, arrival) for match in matches])
            if permission == PERMISSIONS.nothing or principal == PRINCIPALS.nothing:
                continue
            yield (
                f"{policy.key}[{number}.{position}]",
                pb.Policy(permissions=[permission], principals=[principal]),
            )


def _usable(clause: Clause) -> Sequence[Match]:
    """An empty match matches nothing; a clause without matches matches everything."""
    if not clause.matches:
        return (Match(),)
    return tuple(match for match in clause.matches if match != Match())


# --- the source ------------------------------------------------------------------------------------------------


def _source(match: Match, arrival: Arrival) -> pb.Principal:
    identity = _identity_matcher(arrival)
    return PRINCIPALS.all_of(
        [
            PRINCIPALS.field(match.principals, match.not_principals, lambda value: identity(_principal_pattern(value))),
            PRINCIPALS.field(match.namespaces, match.not_namespaces, lambda value: identity(_namespace_pattern(value))),
            PRINCIPALS.field(
                match.service_accounts, match.not_service_accounts, lambda value: identity(_account_pattern(value))
            ),
            PRINCIPALS.field(match.source_blocks, match.not_source_blocks, _source_block),
        ]
    )


def _identity_matcher(arrival: Arrival) -> Callable[[str], pb.Principal]:
    """From a regular expression of a whole SPIFFE id to the principal that has such an id."""

    def tunnel(pattern: str) -> pb.Principal:
        return pb.Principal(authenticated=pb.Principal.Authenticated(principal_name=_regex(pattern)))

    def same_node(pattern: str) -> pb.Principal:
        return pb.Principal(
            filter_state=pb.FilterStateMatcher(key=names.SOURCE_IDENTITY_KEY, string_match=_regex(pattern))
        )

    def plaintext(pattern: str) -> pb.Principal:  # noqa: ARG001 - nobody has an identity here
        return PRINCIPALS.nothing

    return {Arrival.TUNNEL: tunnel, Arrival.SAME_NODE: same_node, Arrival.PLAINTEXT: plaintext}[arrival]


def _regex(pattern: str) -> pb.StringMatcher:
    matcher = pb.StringMatcher()
    matcher.safe_regex.regex = pattern
    return matcher


def _string_pattern(match: StringMatch, inside: str) -> str:
    """A regular expression for `match` over characters of the class `inside`."""
    if match.exact is not None:
        return re.escape(match.exact)
    if match.prefix is not None:
        return re.escape(match.prefix) + f"{inside}*"
    if match.suffix is not None:
        return f"{inside}*" + re.escape(match.suffix)
    return f"{inside}+"


def _principal_pattern(match: StringMatch) -> str:
    return "spiffe://" + _string_pattern(match, ".")


def _namespace_pattern(match: StringMatch) -> str:
    return f"spiffe://[^/]+/ns/{_string_pattern(match, '[^/]')}/sa/[^/]+"


def _account_pattern(match: ServiceAccountMatch) -> str:
    return f"spiffe://[^/]+/ns/{re.escape(match.namespace)}/sa/{re.escape(match.service_account)}"


def _source_block(block: str) -> pb.Principal:
    return pb.Principal(direct_remote_ip=_cidr(block))


# --- the destination -------------------------------------------------------------------------------------------


def _destination(match: Match, addresses: Sequence[str], arrival: Arrival) -> pb.Permission:
    def port(number: int) -> pb.Permission:
        return _tunnel_port(number) if arrival is Arrival.TUNNEL else pb.Permission(destination_port=number)

    def block(cidr: str) -> pb.Permission:
        if arrival is Arrival.TUNNEL:
            return _tunnel_block(cidr, addresses)
        return pb.Permission(destination_ip=_cidr(cidr))

    return PERMISSIONS.all_of(
        [
            PERMISSIONS.field(match.destination_ports, match.not_destination_ports, port),
            PERMISSIONS.field(match.destination_blocks, match.not_destination_blocks, block),
        ]
    )


def _authority(matcher: pb.StringMatcher) -> pb.Permission:
    permission = pb.Permission()
    permission.header.name = ":authority"
    permission.header.string_match.CopyFrom(matcher)
    return permission


def _tunnel_port(number: int) -> pb.Permission:
    return _authority(pb.StringMatcher(suffix=f":{number}"))


def _tunnel_block(cidr: str, addresses: Sequence[str]) -> pb.Permission:
    """The destination is one of the pod's addresses: those in the block, as an authority spells them."""
    network = ipaddress.ip_network(cidr, strict=False)
    inside = [address for address in addresses if ipaddress.ip_address(address) in network]
    return PERMISSIONS.any_of(
        [_authority(pb.StringMatcher(prefix=names.join_address(address, 0)[:-1])) for address in inside]
    )


def _cidr(block: str) -> pb.CidrRange:
    network = ipaddress.ip_network(block, strict=False)
    return pb.CidrRange(address_prefix=str(network.network_address), prefix_len=pb.UInt32Value(value=network.prefixlen))
