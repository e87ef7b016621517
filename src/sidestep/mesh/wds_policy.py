"""Layer 4 policies on the wire: `istio.security.Authorization`, both ways."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from google.protobuf.message import DecodeError

from sidestep.mesh.model import Action, Clause, Match, Policy, PolicyScope, Rule, ServiceAccountMatch, StringMatch
from sidestep.mesh.wds_parts import Enumeration, InvalidMessage, decode_ip, decode_port_number
from sidestep.wire.istio import authorization as pb

_SCOPES = Enumeration(
    "policy scope",
    {
        PolicyScope.GLOBAL: pb.GLOBAL,
        PolicyScope.NAMESPACE: pb.NAMESPACE,
        PolicyScope.WORKLOAD_SELECTOR: pb.WORKLOAD_SELECTOR,
    },
)
_ACTIONS = Enumeration("action", {Action.ALLOW: pb.ALLOW, Action.DENY: pb.DENY})


def encode_policy(policy: Policy) -> pb.Authorization:
    """As a resource of type `istio.security.Authorization`; raises ValueError if a block is none."""
    return pb.Authorization(
        name=policy.name,
        namespace=policy.namespace,
        scope=_SCOPES.to_wire(policy.scope),
        action=_ACTIONS.to_wire(policy.action),
        dry_run=policy.dry_run,
        rules=[_encode_rule(rule) for rule in policy.rules],
    )


def decode_policy(body: bytes) -> Policy:
    """The policy in a serialised `istio.security.Authorization`; raises InvalidMessage."""
    message = pb.Authorization()
    try:
        message.ParseFromString(body)
    except DecodeError as error:
        raise InvalidMessage(f"not an istio.security.Authorization: {error}") from error
    if not message.name:
        raise InvalidMessage("a policy has no name")
    return Policy(
        name=message.name,
        namespace=message.namespace,
        scope=_SCOPES.from_wire(message.scope),
        action=_ACTIONS.from_wire(message.action),
        dry_run=message.dry_run,
        rules=tuple(_decode_rule(rule) for rule in message.rules),
    )


def _encode_rule(rule: Rule) -> pb.Rule:
    return pb.Rule(clauses=[pb.Clause(matches=[_encode_match(match) for match in c.matches]) for c in rule.clauses])


def _decode_rule(message: pb.Rule) -> Rule:
    return Rule(
        clauses=tuple(
            Clause(matches=tuple(_decode_match(match) for match in clause.matches)) for clause in message.clauses
        )
    )


def _encode_match(match: Match) -> pb.Match:
    return pb.Match(
        namespaces=_encode_strings(match.namespaces),
        not_namespaces=_encode_strings(match.not_namespaces),
        service_accounts=_encode_accounts(match.service_accounts),
        not_service_accounts=_encode_accounts(match.not_service_accounts),
        principals=_encode_strings(match.principals),
        not_principals=_encode_strings(match.not_principals),
        source_ips=_encode_blocks(match.source_blocks),
        not_source_ips=_encode_blocks(match.not_source_blocks),
        destination_ips=_encode_blocks(match.destination_blocks),
        not_destination_ips=_encode_blocks(match.not_destination_blocks),
        destination_ports=match.destination_ports,
        not_destination_ports=match.not_destination_ports,
    )


def _decode_match(message: pb.Match) -> Match:
    return Match(
        namespaces=_decode_strings(message.namespaces),
        not_namespaces=_decode_strings(message.not_namespaces),
        service_accounts=_decode_accounts(message.service_accounts),
        not_service_accounts=_decode_accounts(message.not_service_accounts),
        principals=_decode_strings(message.principals),
        not_principals=_decode_strings(message.not_principals),
        source_blocks=_decode_blocks(message.source_ips),
        not_source_blocks=_decode_blocks(message.not_source_ips),
        destination_blocks=_decode_blocks(message.destination_ips),
        not_destination_blocks=_decode_blocks(message.not_destination_ips),
        destination_ports=tuple(decode_port_number(port) for port in message.destination_ports),
        not_destination_ports=tuple(decode_port_number(port) for port in message.not_destination_ports),
    )


def _encode_strings(matches: Iterable[StringMatch]) -> list[pb.StringMatch]:
    return [_encode_string(match) for match in matches]


def _encode_string(match: StringMatch) -> pb.StringMatch:
    if match.exact is not None:
        return pb.StringMatch(exact=match.exact)
    if match.prefix is not None:
        return pb.StringMatch(prefix=match.prefix)
    if match.suffix is not None:
        return pb.StringMatch(suffix=match.suffix)
    return pb.StringMatch(presence={})


def _decode_strings(messages: Iterable[pb.StringMatch]) -> tuple[StringMatch, ...]:
    return tuple(_decode_string(message) for message in messages)


def _decode_string(message: pb.StringMatch) -> StringMatch:
    match message.WhichOneof("match_type"):
        case "exact":
            return StringMatch(exact=message.exact)
        case "prefix":
            return StringMatch(prefix=message.prefix)
        case "suffix":
            return StringMatch(suffix=message.suffix)
        case "presence":
            return StringMatch()
        case _:
            # Dropping it could make a policy wider than its author meant.
            raise InvalidMessage("a string match is of an unknown kind")


def _encode_accounts(accounts: Iterable[ServiceAccountMatch]) -> list[pb.ServiceAccountMatch]:
    return [
        pb.ServiceAccountMatch(namespace=account.namespace, serviceAccount=account.service_account)
        for account in accounts
    ]


def _decode_accounts(messages: Iterable[pb.ServiceAccountMatch]) -> tuple[ServiceAccountMatch, ...]:
    return tuple(
        ServiceAccountMatch(namespace=message.namespace, service_account=message.serviceAccount) for message in messages
    )


def _encode_blocks(blocks: Iterable[str]) -> list[pb.Address]:
    networks = [ipaddress.ip_network(block, strict=False) for block in blocks]
    return [pb.Address(address=network.network_address.packed, length=network.prefixlen) for network in networks]


def _decode_blocks(messages: Iterable[pb.Address]) -> tuple[str, ...]:
    return tuple(_decode_block(message) for message in messages)


def _decode_block(message: pb.Address) -> str:
    block = f"{decode_ip(message.address)}/{message.length}"
    try:
        return str(ipaddress.ip_network(block, strict=False))
    except ValueError:
        raise InvalidMessage(f"{block} is no block of addresses") from None
