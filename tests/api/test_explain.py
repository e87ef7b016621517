"""Mismatches between documents and types."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestep.api.explain import explain
from sidestep.api.istio.authorization_policy import AuthorizationPolicy
from sidestep.api.istio.peer_authentication import PeerAuthentication
from sidestep.api.kubernetes.pod import Pod
from sidestep.api.kubernetes.service import Service


def test_what_fits_is_not_explained() -> None:
    assert not explain({"metadata": {"name": "a"}, "spec": {"ports": [{"port": 1, "targetPort": "x"}]}}, Service)


@pytest.mark.parametrize(
    ("spec", "path", "message"),
    [
        ({"ports": [{}]}, ("spec", "ports", 0, "port"), "missing; expected an integer from 1 to 65535"),
        ({"ports": [{"port": True}]}, ("spec", "ports", 0, "port"), "expected an integer from 1 to 65535, got true"),
        (
            {"ports": [{"port": 1, "targetPort": []}]},
            ("spec", "ports", 0, "targetPort"),
            "expected an integer or text, got a list",
        ),
        (
            {"clusterIPs": "10.0.0.1"},
            ("spec", "clusterIPs"),
            "expected a list, got '10.0.0.1'; begin each item with '- '",
        ),
        (
            {"publishNotReadyAddresses": "true"},
            ("spec", "publishNotReadyAddresses"),
            "expected true or false, got 'true'; leave out the quotes",
        ),
        (
            {"ipFamilies": ["ipv4"]},
            ("spec", "ipFamilies", 0),
            "expected one of IPv4, IPv6, got 'ipv4'; did you mean IPv4?",
        ),
    ],
)
def test_mismatches(spec: dict[str, Any], path: tuple[str, ...], message: str) -> None:
    (finding,) = explain({"metadata": {"name": "a"}, "spec": spec}, Service)
    assert finding.path == path
    assert finding.message in (message, message.replace("an integer or text", "text or an integer"))


def test_times_and_unknown_fields() -> None:
    (finding,) = explain({"metadata": {"name": "a", "creationTimestamp": "yesterday"}, "spec": {"containers": []}}, Pod)
    assert "2026-01-31T12:00:00Z" in finding.message
    (finding,) = explain({"metadata": {"name": "a"}, "spec": {"zzz": 1}}, AuthorizationPolicy)
    assert "the fields here are action, provider, rules, selector, targetRef, targetRefs" in finding.message
    (finding,) = explain({"metadata": {"name": "a"}, "spec": {"portLevelMtls": {"http": {}}}}, PeerAuthentication)
    assert finding.path == ("spec", "portLevelMtls", "http")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["metadata", "spec", "name", "ports", "port"]), inner)
        ),
    )
)
def test_it_explains_whatever_msgspec_refuses(value: Any) -> None:
    try:
        msgspec.convert(value, Service, str_keys=True)
    except msgspec.ValidationError:
        assert explain(value, Service)
    else:
        assert not explain(value, Service)
