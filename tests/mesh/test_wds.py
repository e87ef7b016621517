from __future__ import annotations

import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.mesh.strategies import policies, services, workloads

from sidestep.mesh.model import (
    Action,
    Clause,
    GatewayAddress,
    Match,
    NetworkAddress,
    Policy,
    PolicyScope,
    Rule,
    Service,
    TunnelProtocol,
    Workload,
)
from sidestep.mesh.wds import (
    InvalidMessage,
    aliases,
    decode_address,
    decode_policy,
    encode_policy,
    encode_service,
    encode_workload,
    resource_name,
)
from sidestep.wire import istio
from sidestep.wire.istio import authorization, workload

WORKLOAD = Workload(uid="Kubernetes//Pod/shop/front", name="front", namespace="shop", addresses=("10.0.0.1", "fd00::1"))
SERVICE = Service(
    name="front",
    namespace="shop",
    hostname="front.shop.svc.cluster.local",
    addresses=(NetworkAddress(address="10.96.0.1"), NetworkAddress(address="10.1.0.0", prefix_length=16)),
)

# Building a model object out of 25 fields is slow for Hypothesis, not for us.
many = settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60, deadline=None)


@many
@given(workloads)
def test_workload_round_trip(item: Workload) -> None:
    assert decode_address(encode_workload(item).SerializeToString()) == item


@many
@given(services)
def test_service_round_trip(item: Service) -> None:
    assert decode_address(encode_service(item).SerializeToString()) == item


@many
@given(policies)
def test_policy_round_trip(item: Policy) -> None:
    assert decode_policy(encode_policy(item).SerializeToString()) == item


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_one_error_only(body: bytes) -> None:
    for decode in (decode_address, decode_policy):
        with contextlib.suppress(InvalidMessage):
            decode(body)


@many
@given(workloads, services, policies, st.data())
def test_damaged_messages_raise_one_error_only(
    a_workload: Workload, a_service: Service, a_policy: Policy, data: st.DataObject
) -> None:
    address = encode_workload(a_workload) if data.draw(st.booleans()) else encode_service(a_service)
    for decode, message in ((decode_address, address), (decode_policy, encode_policy(a_policy))):
        body = bytearray(message.SerializeToString())
        if body:
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
        with contextlib.suppress(InvalidMessage):
            decode(bytes(body))


def test_names_and_aliases() -> None:
    assert resource_name(WORKLOAD) == "Kubernetes//Pod/shop/front"
    assert resource_name(SERVICE) == "shop/front.shop.svc.cluster.local"
    assert aliases(WORKLOAD) == ("/10.0.0.1", "/fd00::1")
    assert aliases(SERVICE) == ("/10.96.0.1",), "a block is no alias"


def test_host_network_pods_have_no_alias() -> None:
    assert aliases(Workload(uid="u", name="n", namespace="s", addresses=("10.0.0.1",), host_network=True)) == ()


def test_wire_form_of_a_workload() -> None:
    message = encode_workload(WORKLOAD).workload
    assert list(message.addresses) == [bytes([10, 0, 0, 1]), bytes.fromhex("fd00" + "00" * 13 + "01")]
    assert message.workload_type == workload.POD
    assert not message.HasField("capacity")
    assert not message.HasField("locality")
    assert not message.HasField("waypoint")


def test_legacy_mtls_is_plain_text() -> None:
    message = encode_workload(WORKLOAD)
    message.workload.tunnel_protocol = workload.LEGACY_ISTIO_MTLS
    decoded = decode_address(message.SerializeToString())
    assert isinstance(decoded, Workload)
    assert decoded.tunnel_protocol is TunnelProtocol.NONE


def test_a_block_of_one_address_is_an_address() -> None:
    message = encode_service(SERVICE)
    message.service.addresses[0].length = 32
    assert decode_address(message.SerializeToString()) == SERVICE


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (istio.Address(), "neither"),
        (istio.Address(workload=workload.Workload()), "uid"),
        (istio.Address(service=workload.Service()), "hostname"),
        (istio.Address(workload=workload.Workload(uid="u", addresses=[b"abc"])), "4 or 16 bytes, not 3"),
        (istio.Address(workload=workload.Workload(uid="u", waypoint={})), "neither hostname nor address"),
        (istio.Address(service=workload.Service(hostname="h", ports=[{"service_port": 70000}])), "70000 is no port"),
        (
            istio.Address(service=workload.Service(hostname="h", addresses=[{"address": b"\1\2\3\4", "length": 33}])),
            "1.2.3.4/33",
        ),
    ],
)
def test_what_the_model_cannot_hold_is_refused(message: istio.Address, reason: str) -> None:
    with pytest.raises(InvalidMessage, match=reason):
        decode_address(message.SerializeToString())


def test_a_string_match_of_an_unknown_kind_is_refused() -> None:
    rule = authorization.Rule(clauses=[{"matches": [{"not_principals": [authorization.StringMatch()]}]}])
    message = authorization.Authorization(name="p", rules=[rule])
    with pytest.raises(InvalidMessage, match="unknown kind"):
        decode_policy(message.SerializeToString())


def test_an_address_that_is_none_is_not_encoded() -> None:
    with pytest.raises(ValueError, match="front"):
        encode_workload(Workload(uid="u", name="n", namespace="s", addresses=("front",)))
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/99"):
        encode_policy(
            Policy(
                name="p",
                namespace="n",
                scope=PolicyScope.GLOBAL,
                action=Action.DENY,
                rules=(Rule(clauses=(Clause(matches=(Match(source_blocks=("10.0.0.0/99",)),)),)),),
            )
        )


def test_gateway_by_address_keeps_its_port() -> None:
    gateway = GatewayAddress(address=NetworkAddress(address="10.0.0.9", network="n"), hbone_port=15443)
    item = Workload(uid="u", name="n", namespace="s", network_gateway=gateway)
    assert decode_address(encode_workload(item).SerializeToString()) == item
