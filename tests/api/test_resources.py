"""The collection of resources."""

import pytest

from sidestep.api.kubernetes.namespace import Namespace
from sidestep.api.kubernetes.service_account import ServiceAccount
from sidestep.api.meta import ObjectMeta, Resource, ResourceKey
from sidestep.api.parse import parse_documents
from sidestep.api.registry import kinds
from sidestep.api.resources import Resources


def account(name: str, namespace: str = "a", uid: str = "") -> ServiceAccount:
    return ServiceAccount(metadata=ObjectMeta(name=name, namespace=namespace, uid=uid))


def test_by_kind_in_the_order_of_keys() -> None:
    resources = Resources.of([account("y"), account("x", "b"), account("x"), Namespace(metadata=ObjectMeta(name="a"))])
    assert list(resources.service_accounts) == [("a", "x"), ("a", "y"), ("b", "x")]
    assert list(resources.namespaces) == [("", "a")]
    assert len(resources) == 4
    assert [resource.key.kind for resource in resources] == ["Namespace", *["ServiceAccount"] * 3]


def test_the_last_of_a_key_stays_and_order_does_not_matter() -> None:
    resources = Resources.of([account("x", uid="1"), account("x", uid="2")])
    assert resources.service_accounts["a", "x"].metadata.uid == "2"
    assert Resources.of([account("x"), account("y")]) == Resources.of([account("y"), account("x")])
    assert Resources.of([account("x")]) != Resources.of([account("x", uid="1")])


def test_get() -> None:
    resources = Resources.of([account("x")])
    assert resources.get(ResourceKey(kind="ServiceAccount", namespace="a", name="x")) == account("x")
    assert resources.get(ResourceKey(kind="Pod", namespace="a", name="x")) is None
    assert resources.get(ResourceKey(kind="Gateway", namespace="a", name="x")) is None


_SPECS = {
    "Pod": "{containers: [{name: a}]}",
    "Deployment": "{selector: {}, template: {spec: {containers: [{name: a}]}}}",
    "Service": "{ports: [{port: 1}]}",
    "WorkloadEntry": "{address: 10.0.0.1}",
    "ServiceEntry": "{hosts: [a.b], ports: [{number: 80, name: http}]}",
}


@pytest.mark.parametrize("info", kinds(), ids=lambda info: info.kind)
def test_every_kind_has_its_place(info: object) -> None:
    kind: str = info.kind  # type: ignore[attr-defined]
    api_version: str = info.api_versions[0]  # type: ignore[attr-defined]
    spec = "addressType: IPv4" if kind == "EndpointSlice" else f"spec: {_SPECS.get(kind, '{}')}"
    (parsed,) = parse_documents(
        f"apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: x, namespace: y}}\n{spec}\n", file="f"
    ).resources
    resource: Resource = parsed.resource
    resources = Resources.of([resource])
    assert list(resources) == [resource]
    assert resources.get(resource.key) is resource
