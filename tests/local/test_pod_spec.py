from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestep.local.errors import BadDataError
from sidestep.local.pod_spec import RunningPod, command_of, environment_of, expand, field_of, parse_spec, port_of


def document(**container: Any) -> dict[str, Any]:
    return {"kind": "Pod", "spec": {"containers": [{"name": "main", "image": "any", "command": ["true"], **container}]}}


def running(manifest: dict[str, Any]) -> RunningPod:
    return RunningPod(
        uid="u-1",
        name="web-0",
        namespace="shop",
        node="node-1",
        host_address="172.30.0.11",
        addresses=("10.244.1.2", "fd00::2"),
        labels={"app": "web"},
        annotations={},
        spec=parse_spec(manifest),
    )


def test_unknown_fields_are_ignored_known_ones_checked() -> None:
    spec = parse_spec(document(securityContext={"x": 1}, readinessProbe={"tcpSocket": {"port": "http"}}))
    assert spec.containers[0].readiness_probe is not None
    with pytest.raises(BadDataError, match="containerPort"):
        parse_spec(document(ports=[{"containerPort": "http"}]))


def test_an_image_alone_is_not_enough() -> None:
    with pytest.raises(BadDataError, match=r"no command.*not pulled"):
        parse_spec(document(command=[]))


def test_host_network_is_refused() -> None:
    manifest = document()
    manifest["spec"]["hostNetwork"] = True
    with pytest.raises(BadDataError, match="hostNetwork"):
        parse_spec(manifest)


def test_environment_and_command() -> None:
    manifest = document(
        command=["serve", "$(ADDRESS)", "$(MISSING)", "$$(ADDRESS)"],
        env=[
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "ADDRESS", "value": "$(IP):80"},
            {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        ],
    )
    pod = running(manifest)
    environment = environment_of(pod, pod.spec.containers[0])
    assert environment == {"IP": "10.244.1.2", "ADDRESS": "10.244.1.2:80", "APP": "web"}
    expected = ("serve", "10.244.1.2:80", "$(MISSING)", "$(ADDRESS)")
    assert command_of(pod.spec.containers[0], environment) == expected


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "web-0"),
        ("metadata.namespace", "shop"),
        ("metadata.uid", "u-1"),
        ("spec.nodeName", "node-1"),
        ("spec.serviceAccountName", "default"),
        ("status.hostIP", "172.30.0.11"),
        ("status.podIPs", "10.244.1.2,fd00::2"),
        ("metadata.annotations['none']", ""),
    ],
)
def test_downward_api(path: str, value: str) -> None:
    assert field_of(running(document()), path) == value


def test_an_unknown_field_and_an_unknown_source_are_named() -> None:
    with pytest.raises(BadDataError, match=r"spec\.color"):
        field_of(running(document()), "spec.color")
    pod = running(document(env=[{"name": "X", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]))
    with pytest.raises(BadDataError, match=r"only valueFrom\.fieldRef"):
        environment_of(pod, pod.spec.containers[0])


def test_probe_ports_by_name() -> None:
    spec = parse_spec(document(ports=[{"name": "http", "containerPort": 8080}]))
    assert port_of(spec, spec.containers[0], "http") == 8080
    assert port_of(spec, spec.containers[0], 9) == 9
    with pytest.raises(BadDataError, match="'grpc'"):
        port_of(spec, spec.containers[0], "grpc")


@given(st.text(), st.dictionaries(st.text(), st.text()))
def test_expansion_takes_anything(text: str, values: dict[str, str]) -> None:
    assert isinstance(expand(text, values), str)


@given(st.text(alphabet=st.characters(exclude_characters="$")))
def test_expansion_leaves_text_without_dollars(text: str) -> None:
    assert expand(text, {"A": "1"}) == text
