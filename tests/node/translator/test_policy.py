"""The RBAC that Envoy gets decides as `sidestep.mesh.authorize` does, for all three ways into a pod."""

import ipaddress
import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.mesh.strategies import addresses, policies, principals

from sidestep.mesh.authorize import Connection, is_allowed
from sidestep.mesh.model import Action, Policy, Workload
from sidestep.node.translator import names
from sidestep.node.translator.policy import Arrival, rbac
from sidestep.wire import envoy as pb


def permits(permission: pb.Permission, connection: Connection) -> bool:
    """Envoy's rule matching, as its documentation has it."""
    kind = permission.WhichOneof("rule")
    match kind:
        case "any":
            return permission.any
        case "not_rule":
            return not permits(permission.not_rule, connection)
        case "and_rules":
            return all(permits(each, connection) for each in permission.and_rules.rules)
        case "or_rules":
            return any(permits(each, connection) for each in permission.or_rules.rules)
        case "destination_port":
            return permission.destination_port == connection.destination_port
        case "destination_ip":
            return inside(permission.destination_ip, connection.destination_ip)
        case "header":
            authority = names.join_address(connection.destination_ip, connection.destination_port)
            return text_matches(permission.header.string_match, authority)
    raise AssertionError(kind)


def identifies(principal: pb.Principal, connection: Connection) -> bool:
    kind = principal.WhichOneof("identifier")
    match kind:
        case "any":
            return principal.any
        case "not_id":
            return not identifies(principal.not_id, connection)
        case "and_ids":
            return all(identifies(each, connection) for each in principal.and_ids.ids)
        case "or_ids":
            return any(identifies(each, connection) for each in principal.or_ids.ids)
        case "direct_remote_ip":
            return inside(principal.direct_remote_ip, connection.source_ip)
        case "authenticated":
            return text_matches(principal.authenticated.principal_name, connection.source_identity or "")
        case "filter_state":
            return text_matches(principal.filter_state.string_match, connection.source_identity or "")
    raise AssertionError(kind)


def text_matches(matcher: pb.StringMatcher, text: str) -> bool:
    match matcher.WhichOneof("match_pattern"):
        case "suffix":
            return text.endswith(matcher.suffix)
        case "prefix":
            return text.startswith(matcher.prefix)
        case "safe_regex":
            return re.fullmatch(matcher.safe_regex.regex, text) is not None
    raise AssertionError(matcher)


def inside(block: pb.CidrRange, address: str) -> bool:
    network = ipaddress.ip_network(f"{block.address_prefix}/{block.prefix_len.value}")
    return ipaddress.ip_address(address) in network


def envoy_allows(rules: dict[Action, pb.RBAC], connection: Connection) -> bool:
    def matches(rbac_rules: pb.RBAC) -> bool:
        return any(
            any(permits(each, connection) for each in policy.permissions)
            and any(identifies(each, connection) for each in policy.principals)
            for policy in rbac_rules.policies.values()
        )

    if Action.DENY in rules and matches(rules[Action.DENY]):
        return False
    return Action.ALLOW not in rules or matches(rules[Action.ALLOW])


@pytest.mark.parametrize("arrival", Arrival)
@given(
    list_of_policies=st.lists(policies, max_size=4, unique_by=lambda policy: policy.key),
    identity=principals,
    source=addresses,
    destination=addresses,
    port=st.integers(1, 65535) | st.sampled_from([80, 443, 8080]),
)
def test_same_decision(
    arrival: Arrival, list_of_policies: Sequence[Policy], identity: str, source: str, destination: str, port: int
) -> None:
    keys = tuple(policy.key for policy in list_of_policies)
    workload = Workload(uid="u", name="server", namespace="shop", authorization_policies=keys)
    connection = Connection(
        source_identity=None if arrival is Arrival.PLAINTEXT else f"spiffe://{identity}",
        source_ip=source,
        destination_ip=destination,
        destination_port=port,
    )
    covering = [policy for policy in list_of_policies if is_covered(policy, workload)]
    translated = rbac(covering, [destination], arrival)
    assert envoy_allows(translated, connection) == is_allowed(connection, workload, list_of_policies).allowed


def is_covered(policy: Policy, workload: Workload) -> bool:
    from sidestep.mesh.authorize import covers

    return covers(policy, workload)
