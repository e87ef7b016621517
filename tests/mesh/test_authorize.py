from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.mesh.strategies import addresses, names, namespaces, policies, principals

from sidestep.mesh.authorize import Connection, is_allowed
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

FRONT = "spiffe://cluster.local/ns/shop/sa/front"
WORKLOAD = Workload(uid="u", name="server", namespace="shop", authorization_policies=("shop/selected",))


def connection(identity: str | None = FRONT, source: str = "10.0.0.1", port: int = 8080) -> Connection:
    return Connection(source_identity=identity, source_ip=source, destination_ip="10.0.0.2", destination_port=port)


def policy(
    *rules: Rule, action: Action = Action.ALLOW, scope: PolicyScope = PolicyScope.NAMESPACE, name: str = "p"
) -> Policy:
    return Policy(name=name, namespace="shop", scope=scope, action=action, rules=rules)


def one(match: Match) -> Rule:
    return Rule(clauses=(Clause(matches=(match,)),))


EVERYTHING = Rule()


def allowed(one_connection: Connection, *list_of_policies: Policy) -> bool:
    return is_allowed(one_connection, WORKLOAD, list_of_policies).allowed


def test_without_policies_everything_is_allowed() -> None:
    decision = is_allowed(connection(), WORKLOAD, [])
    assert decision.allowed
    assert decision.policy_key is None


def test_an_allow_policy_refuses_the_rest() -> None:
    only_bank = policy(one(Match(namespaces=(StringMatch(exact="bank"),))))
    decision = is_allowed(connection(), WORKLOAD, [only_bank])
    assert not decision.allowed
    assert "shop/p" in decision.reason


def test_deny_comes_first() -> None:
    deny = policy(EVERYTHING, action=Action.DENY, name="no")
    decision = is_allowed(connection(), WORKLOAD, [policy(EVERYTHING), deny])
    assert (decision.allowed, decision.policy_key) == (False, "shop/no")


def test_a_policy_without_rules_matches_nothing() -> None:
    assert not allowed(connection(), policy())
    assert allowed(connection(), policy(action=Action.DENY))


def test_empty_rule_and_empty_clause_match_everything_an_empty_match_nothing() -> None:
    assert allowed(connection(), policy(EVERYTHING))
    assert allowed(connection(), policy(Rule(clauses=(Clause(),))))
    assert not allowed(connection(), policy(one(Match())))


def test_clauses_are_anded_and_matches_ored() -> None:
    shop = Match(namespaces=(StringMatch(exact="shop"),))
    bank = Match(namespaces=(StringMatch(exact="bank"),))
    web = Match(destination_ports=(8080,))
    rule = Rule(clauses=(Clause(matches=(bank, shop)), Clause(matches=(web,))))
    assert allowed(connection(), policy(rule))
    assert not allowed(connection(port=81), policy(rule))


def test_dry_run_decides_nothing() -> None:
    deny = Policy(
        name="p", namespace="shop", scope=PolicyScope.GLOBAL, action=Action.DENY, rules=(EVERYTHING,), dry_run=True
    )
    assert allowed(connection(), deny)


@pytest.mark.parametrize(
    ("scope", "namespace", "name", "covers"),
    [
        (PolicyScope.GLOBAL, "istio-system", "p", True),
        (PolicyScope.NAMESPACE, "shop", "p", True),
        (PolicyScope.NAMESPACE, "bank", "p", False),
        (PolicyScope.WORKLOAD_SELECTOR, "shop", "selected", True),
        (PolicyScope.WORKLOAD_SELECTOR, "shop", "other", False),
    ],
)
def test_scopes(scope: PolicyScope, namespace: str, name: str, covers: bool) -> None:
    deny = Policy(name=name, namespace=namespace, scope=scope, action=Action.DENY, rules=(EVERYTHING,))
    assert allowed(connection(), deny) is not covers


@pytest.mark.parametrize(
    ("match", "matches_identity", "matches_plain_text"),
    [
        (Match(not_principals=(StringMatch(),)), False, True),
        (Match(principals=(StringMatch(),)), True, False),
        (Match(principals=(StringMatch(prefix=""),)), True, False),
        (Match(principals=(StringMatch(prefix="cluster.local/ns/shop/"),)), True, False),
        (Match(principals=(StringMatch(exact=FRONT),)), False, False),
        (Match(principals=(StringMatch(suffix="/sa/front"),)), True, False),
        (Match(namespaces=(StringMatch(exact="shop"),)), True, False),
        (Match(not_namespaces=(StringMatch(exact="shop"),)), False, True),
        (Match(service_accounts=(ServiceAccountMatch(namespace="shop", service_account="front"),)), True, False),
        (Match(not_service_accounts=(ServiceAccountMatch(namespace="shop", service_account="front"),)), False, True),
        (Match(source_blocks=("10.0.0.0/24",)), True, True),
        (Match(not_source_blocks=("10.0.0.0/24",)), False, False),
        (Match(destination_blocks=("10.0.0.2/32", "fd00::/8")), True, True),
    ],
)
def test_fields(match: Match, matches_identity: bool, matches_plain_text: bool) -> None:
    assert allowed(connection(), policy(one(match))) is matches_identity
    assert allowed(connection(identity=None), policy(one(match))) is matches_plain_text


# --- against a reference: the same semantics, written as sets of what each part says -------------------------------


def reference(one_connection: Connection, workload: Workload, given_policies: Sequence[Policy]) -> bool:
    identity = one_connection.source_identity
    parts = (identity or "spiffe:////////").removeprefix("spiffe://").split("/")
    verdicts: dict[Action, list[bool]] = {Action.ALLOW: [], Action.DENY: []}
    for item in given_policies:
        in_force = {
            PolicyScope.GLOBAL: True,
            PolicyScope.NAMESPACE: item.namespace == workload.namespace,
            PolicyScope.WORKLOAD_SELECTOR: f"{item.namespace}/{item.name}" in workload.authorization_policies,
        }[item.scope]
        if in_force and not item.dry_run:
            verdicts[item.action].append(_any_rule(item, one_connection, identity, parts))
    return not any(verdicts[Action.DENY]) and (not verdicts[Action.ALLOW] or any(verdicts[Action.ALLOW]))


def _any_rule(item: Policy, one_connection: Connection, identity: str | None, parts: list[str]) -> bool:
    for rule in item.rules:
        clauses = []
        for clause in rule.clauses:
            found = [
                match != Match() and all(_fields(match, one_connection, identity, parts)) for match in clause.matches
            ]
            clauses.append(any(found) or not found)
        if False not in clauses:
            return True
    return False


def _fields(match: Match, one_connection: Connection, identity: str | None, parts: list[str]) -> list[bool]:
    def text(wanted: StringMatch, value: str) -> bool:
        if (wanted.exact, wanted.prefix, wanted.suffix) == (None, None, None):
            return value != ""
        return (
            value == wanted.exact
            or (wanted.prefix is not None and value[: len(wanted.prefix)] == wanted.prefix)
            or (wanted.suffix is not None and value[len(value) - len(wanted.suffix) :] == wanted.suffix)
        )

    def inside(block: str, address: str) -> bool:
        network, value = ipaddress.ip_network(block), ipaddress.ip_address(address)
        if network.version != value.version:
            return False
        shift = network.max_prefixlen - network.prefixlen
        return int(network.network_address) >> shift == int(value) >> shift

    principal = "" if identity is None else identity.removeprefix("spiffe://")
    namespace, account = parts[2], parts[4]
    pairs = [
        ([text(value, namespace) for value in match.namespaces], [text(v, namespace) for v in match.not_namespaces]),
        (
            [identity is not None and text(value, principal) for value in match.principals],
            [identity is not None and text(value, principal) for value in match.not_principals],
        ),
        (
            [(value.namespace, value.service_account) == (namespace, account) for value in match.service_accounts],
            [(value.namespace, value.service_account) == (namespace, account) for value in match.not_service_accounts],
        ),
        (
            [inside(block, one_connection.source_ip) for block in match.source_blocks],
            [inside(block, one_connection.source_ip) for block in match.not_source_blocks],
        ),
        (
            [inside(block, one_connection.destination_ip) for block in match.destination_blocks],
            [inside(block, one_connection.destination_ip) for block in match.not_destination_blocks],
        ),
        (
            [port == one_connection.destination_port for port in match.destination_ports],
            [port == one_connection.destination_port for port in match.not_destination_ports],
        ),
    ]
    return [(not wanted or True in wanted) and True not in unwanted for wanted, unwanted in pairs]


connections = st.builds(
    Connection,
    source_identity=st.none() | principals.map(lambda principal: f"spiffe://{principal}"),
    source_ip=addresses,
    destination_ip=addresses,
    destination_port=st.sampled_from([80, 8080, 9090, 1]),
)
covered = st.builds(
    Workload,
    uid=st.just("u"),
    name=names,
    namespace=namespaces,
    authorization_policies=st.lists(st.builds("{}/{}".format, namespaces, names), max_size=3).map(tuple),
)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=300, deadline=None)
@given(connections, covered, st.lists(policies, max_size=3))
def test_agrees_with_reference(one_connection: Connection, workload: Workload, given_policies: list[Policy]) -> None:
    decision = is_allowed(one_connection, workload, given_policies)
    assert decision.allowed == reference(one_connection, workload, given_policies)
    assert decision == is_allowed(one_connection, workload, given_policies[::-1]) or len(
        {item.key for item in given_policies}
    ) < len(given_policies), "the order of policies does not matter"
