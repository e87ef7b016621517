"""Kinds and their names."""

import pytest

from sidestep.api.registry import KINDS, kinds, lookup


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("po", "Pod"),
        ("pods", "Pod"),
        ("pod", "Pod"),
        ("Pod", "Pod"),
        ("SVC", "Service"),
        ("deploy", "Deployment"),
        ("deployments.apps", "Deployment"),
        ("ns", "Namespace"),
        ("sa", "ServiceAccount"),
        ("endpointslices", "EndpointSlice"),
        ("se", "ServiceEntry"),
        ("we", "WorkloadEntry"),
        ("peerauthentication", "PeerAuthentication"),
        ("authorizationpolicies.security.istio.io", "AuthorizationPolicy"),
    ],
)
def test_lookup(word: str, kind: str) -> None:
    info = lookup(word)
    assert info is not None
    assert info.kind == kind


@pytest.mark.parametrize("word", ["", "gateway", "pods.apps", "po/x", "deployments.pps"])
def test_lookup_of_what_is_not_there(word: str) -> None:
    assert lookup(word) is None


def test_every_kind_writes_a_version_that_it_reads() -> None:
    assert len(kinds()) == 10
    for info in kinds():
        assert info.api_versions[0] == info.type.API_VERSION
        for api_version in info.api_versions:
            assert KINDS[api_version, info.kind] is info


def test_names_are_unambiguous() -> None:
    words = [word.lower() for info in kinds() for word in {info.kind.lower(), info.plural, *info.short_names}]
    assert len(words) == len(set(words))
