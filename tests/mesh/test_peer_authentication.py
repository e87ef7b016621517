from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from sidestep.mesh.authorize import Connection, is_allowed
from sidestep.mesh.model import Workload
from sidestep.mesh.peer_authentication import Mode, PeerPolicies, PeerPolicy

ROOT = "istio-system"
LABELS = {"app": "server"}
OLD, NEW = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
STRICT_KEY = f"{ROOT}/istio_converted_static_strict"


def plain_text_is_let_in(policies: list[PeerPolicy], port: int, namespace: str = "shop") -> bool:
    return _is_allowed(policies, port, namespace, None)


def _is_allowed(policies: list[PeerPolicy], port: int, namespace: str, identity: str | None) -> bool:
    peers = PeerPolicies(policies, ROOT)
    listed = peers.keys_for(namespace, LABELS)
    known = {policy.key: policy for policy in peers.policies()}
    assert set(listed) <= set(known), "a workload lists only policies that exist"
    workload = Workload(uid="u", name="server", namespace=namespace, authorization_policies=listed)
    connection = Connection(
        source_identity=identity, source_ip="10.0.0.1", destination_ip="10.0.0.2", destination_port=port
    )
    return is_allowed(connection, workload, known.values()).allowed


def mesh(mode: Mode) -> PeerPolicy:
    return PeerPolicy(name="default", namespace=ROOT, mode=mode)


def namespace_wide(mode: Mode, name: str = "default", created: datetime | None = None) -> PeerPolicy:
    return PeerPolicy(name=name, namespace="shop", mode=mode, created=created)


def selecting(
    mode: Mode, ports: dict[int, Mode] | None = None, name: str = "server", created: datetime | None = None
) -> PeerPolicy:
    return PeerPolicy(name=name, namespace="shop", selector=LABELS, mode=mode, port_modes=ports or {}, created=created)


def test_without_policies_there_is_nothing_to_list() -> None:
    peers = PeerPolicies([], ROOT)
    assert peers.policies() == ()
    assert peers.keys_for("shop", LABELS) == ()


def test_static_strict_exists_with_the_first_policy() -> None:
    peers = PeerPolicies([mesh(Mode.PERMISSIVE)], ROOT)
    assert [policy.key for policy in peers.policies()] == [STRICT_KEY]
    assert peers.keys_for("shop", LABELS) == ()


def test_strict_mesh() -> None:
    assert PeerPolicies([mesh(Mode.STRICT)], ROOT).keys_for("shop", LABELS) == (STRICT_KEY,)
    assert not plain_text_is_let_in([mesh(Mode.STRICT)], 80)


def test_the_nearer_level_wins() -> None:
    assert plain_text_is_let_in([mesh(Mode.STRICT), namespace_wide(Mode.PERMISSIVE)], 80)
    assert plain_text_is_let_in([mesh(Mode.STRICT), namespace_wide(Mode.DISABLE)], 80)
    assert not plain_text_is_let_in([mesh(Mode.STRICT), namespace_wide(Mode.UNSET)], 80)
    assert plain_text_is_let_in([namespace_wide(Mode.STRICT), selecting(Mode.PERMISSIVE)], 80)
    assert not plain_text_is_let_in([namespace_wide(Mode.STRICT), selecting(Mode.UNSET)], 80)
    assert not plain_text_is_let_in([namespace_wide(Mode.PERMISSIVE), selecting(Mode.STRICT)], 80)


def test_a_namespace_policy_leaves_other_namespaces_alone() -> None:
    assert plain_text_is_let_in([namespace_wide(Mode.STRICT)], 80, namespace="bank")


def test_a_permissive_port_of_a_strict_workload() -> None:
    policies = [selecting(Mode.STRICT, {8080: Mode.PERMISSIVE, 9090: Mode.DISABLE, 7070: Mode.STRICT})]
    assert [plain_text_is_let_in(policies, port) for port in (80, 8080, 9090, 7070)] == [False, True, True, False]
    keys = PeerPolicies(policies, ROOT).keys_for("shop", LABELS)
    assert keys == ("shop/converted_peer_authentication_server",), "static strict would refuse the exempt ports"


def test_a_permissive_port_under_a_strict_parent() -> None:
    policies = [mesh(Mode.STRICT), selecting(Mode.UNSET, {8080: Mode.PERMISSIVE})]
    assert [plain_text_is_let_in(policies, port) for port in (80, 8080)] == [False, True]


def test_a_strict_port_of_a_permissive_workload() -> None:
    policies = [mesh(Mode.STRICT), selecting(Mode.PERMISSIVE, {8080: Mode.STRICT, 9090: Mode.STRICT})]
    assert [plain_text_is_let_in(policies, port) for port in (80, 8080, 9090)] == [True, False, False]


def test_ports_that_are_as_the_rest_need_no_policy_of_their_own() -> None:
    policies = [selecting(Mode.STRICT, {8080: Mode.STRICT, 9090: Mode.UNSET})]
    assert PeerPolicies(policies, ROOT).keys_for("shop", LABELS) == (STRICT_KEY,)
    policies = [selecting(Mode.PERMISSIVE, {8080: Mode.DISABLE})]
    assert PeerPolicies(policies, ROOT).keys_for("shop", LABELS) == ()


def test_the_oldest_counts_at_each_level() -> None:
    assert not plain_text_is_let_in(
        [namespace_wide(Mode.PERMISSIVE, "a", NEW), namespace_wide(Mode.STRICT, "b", OLD)], 80
    )
    assert not plain_text_is_let_in(
        [selecting(Mode.PERMISSIVE, name="a", created=NEW), selecting(Mode.STRICT, name="b", created=OLD)], 80
    )
    assert not plain_text_is_let_in(
        [namespace_wide(Mode.PERMISSIVE, "a"), namespace_wide(Mode.STRICT, "b", NEW)], 80
    ), "one without a date is the newest"


def test_a_selector_in_the_root_namespace_selects_nothing() -> None:
    policy = PeerPolicy(name="p", namespace=ROOT, selector=LABELS, mode=Mode.STRICT)
    assert plain_text_is_let_in([policy], 80, namespace=ROOT)
    [condition] = PeerPolicies([policy], ROOT).conditions
    assert (condition.status, condition.reason) == (False, "Ignored")


def test_what_is_ignored_is_told() -> None:
    ports = PeerPolicy(name="ports", namespace="shop", mode=Mode.STRICT, port_modes={80: Mode.PERMISSIVE}, created=OLD)
    younger = namespace_wide(Mode.STRICT, "younger", created=NEW)
    messages = {item.resource.name: item.message for item in PeerPolicies([ports, younger], ROOT).conditions}
    assert "needs a selector" in messages["ports"]
    assert "ports is older" in messages["younger"]


# --- precedence, as the API's documentation has it -----------------------------------------------------------------

modes = st.sampled_from(Mode)
dates = st.sampled_from([None, OLD, NEW])
anywhere = st.builds(
    PeerPolicy,
    name=st.sampled_from("abcdef"),
    namespace=st.sampled_from([ROOT, "shop", "bank"]),
    created=dates,
    selector=st.sampled_from([{}, LABELS, {"app": "other"}]),
    mode=modes,
    port_modes=st.dictionaries(st.sampled_from([80, 8080]), modes),
)


def reference(policies: list[PeerPolicy], namespace: str, port: int) -> Mode:
    def oldest(candidates: list[PeerPolicy]) -> PeerPolicy | None:
        return min(
            candidates, key=lambda policy: (policy.created is None, policy.created or OLD, policy.name), default=None
        )

    own = oldest([p for p in policies if p.namespace == namespace != ROOT and p.selector == LABELS])
    wide = oldest([p for p in policies if p.namespace == namespace and not p.selector])
    everywhere = oldest([p for p in policies if p.namespace == ROOT and not p.selector])
    levels = [own.port_modes.get(port, Mode.UNSET) if own else Mode.UNSET]
    levels += [level.mode for level in (own, wide, everywhere) if level is not None]
    return next((mode for mode in levels if mode is not Mode.UNSET), Mode.PERMISSIVE)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(anywhere, max_size=6, unique_by=lambda policy: (policy.namespace, policy.name)),
    st.sampled_from([ROOT, "shop", "bank"]),
    st.sampled_from([80, 8080, 9090]),
)
def test_agrees_with_the_reference(policies: list[PeerPolicy], namespace: str, port: int) -> None:
    strict = reference(policies, namespace, port) is Mode.STRICT
    assert plain_text_is_let_in(policies, port, namespace) is not strict
    assert _is_allowed(policies, port, namespace, "spiffe://td/ns/x/sa/y"), "a mesh peer is never refused"
