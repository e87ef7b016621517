from __future__ import annotations

import pytest

from sidestep.api.kubernetes.container import Container
from sidestep.api.kubernetes.namespace import Namespace
from sidestep.api.kubernetes.pod import Pod, PodSpec
from sidestep.api.meta import ObjectMeta
from sidestep.mesh.enrolment import is_enrolled, tunnel_of
from sidestep.mesh.model import TunnelProtocol

MODE = "istio.io/dataplane-mode"


def pod(
    mode: str | None, *, namespace: str = "shop", annotations: dict[str, str] | None = None, host_network: bool = False
) -> Pod:
    return Pod(
        metadata=ObjectMeta(
            name="p", namespace=namespace, labels={} if mode is None else {MODE: mode}, annotations=annotations or {}
        ),
        spec=PodSpec(containers=(Container(name="c"),), host_network=host_network),
    )


def namespace_with(mode: str | None) -> Namespace:
    return Namespace(metadata=ObjectMeta(name="shop", labels={} if mode is None else {MODE: mode}))


@pytest.mark.parametrize(
    ("own", "namespace", "enrolled"),
    [
        (None, None, False),
        (None, "ambient", True),
        (None, "none", False),
        (None, "Ambient", False),
        ("ambient", None, True),
        ("ambient", "none", True),
        ("none", "ambient", False),
        ("nonsense", "ambient", True),
    ],
)
def test_labels(own: str | None, namespace: str | None, enrolled: bool) -> None:
    assert is_enrolled(pod(own), namespace_with(namespace)) is enrolled


def test_without_the_namespace_resource_the_own_label_counts() -> None:
    assert is_enrolled(pod("ambient"), None)
    assert not is_enrolled(pod(None), None)


def test_never_enrolled() -> None:
    assert not is_enrolled(pod("ambient", host_network=True), None)
    assert not is_enrolled(pod("ambient", namespace="kube-system"), None)
    assert not is_enrolled(pod("ambient", annotations={"sidecar.istio.io/status": "{}"}), None)


def test_tunnel() -> None:
    assert tunnel_of({}, {}) == (TunnelProtocol.NONE, False)
    assert tunnel_of({MODE: "ambient"}, {}) == (TunnelProtocol.NONE, False), "wanted is not yet captured"
    assert tunnel_of({}, {"ambient.istio.io/redirection": "enabled"}) == (TunnelProtocol.HBONE, False)
    assert tunnel_of({}, {"ambient.istio.io/redirection": "pending"}) == (TunnelProtocol.NONE, False)
    assert tunnel_of({"networking.istio.io/tunnel": "http"}, {}) == (TunnelProtocol.HBONE, True)
