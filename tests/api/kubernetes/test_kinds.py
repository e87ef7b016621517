"""Values that Kubernetes refuses, kind by kind."""

import pytest

from sidestep.api.kubernetes.endpoint_slice import EndpointSlice
from sidestep.api.kubernetes.pod import Pod
from sidestep.api.kubernetes.service import Service
from sidestep.api.parse import ParseResult, parse_documents


def parse(api_version: str, kind: str, rest: str, name: str = "a") -> ParseResult:
    text = f"apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: {name}}}\n{rest}\n"
    return parse_documents(text, file="f")


def fields(result: ParseResult) -> list[str]:
    return [problem.field for problem in result.problems]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ("{}", "spec.ports"),
        ("{ports: [{port: 80}, {port: 81, name: a}]}", "spec.ports[0].name"),
        ("{ports: [{port: 80, name: a}, {port: 81, name: a}]}", "spec.ports[1].name"),
        ("{ports: [{port: 80, name: a}, {port: 80, name: b}]}", "spec.ports[1].port"),
        ("{ports: [{port: 80, targetPort: '80'}]}", "spec.ports[0].targetPort"),
        ("{ports: [{port: 80, targetPort: 0}]}", "spec.ports[0].targetPort"),
        ("{ports: [{port: 80, nodePort: 70000}]}", "spec.ports[0].nodePort"),
        ("{ports: [{port: 80}], clusterIP: x}", "spec.clusterIP"),
        ("{ports: [{port: 80}], clusterIP: 10.0.0.1, clusterIPs: [10.0.0.2]}", "spec.clusterIPs[0]"),
        ("{ports: [{port: 80}], selector: {a b: c}}", "spec.selector['a b']"),
        ("{ports: [{port: 80}], internalTrafficPolicy: local}", "spec.internalTrafficPolicy"),
        ("{ports: [{port: 80}], trafficDistribution: Close}", "spec.trafficDistribution"),
        ("{type: ExternalName}", "spec.externalName"),
    ],
)
def test_services(spec: str, field: str) -> None:
    assert fields(parse("v1", "Service", f"spec: {spec}")) == [field]


def test_right_services() -> None:
    headless = (
        parse("v1", "Service", "spec: {clusterIP: None, clusterIPs: [None], selector: {a: b}}").resources[0].resource
    )
    assert isinstance(headless, Service)
    assert headless.headless
    assert headless.addresses == ()
    dual = parse(
        "v1",
        "Service",
        "spec: {ports: [{port: 53, protocol: UDP, name: u}, {port: 53, name: t}], clusterIPs: [10.0.0.1, 'fd00::1']}",
    )
    service = dual.resources[0].resource
    assert isinstance(service, Service)
    assert service.addresses == ("10.0.0.1", "fd00::1")
    assert not service.headless
    assert not parse("v1", "Service", "spec: {type: ExternalName, externalName: example.com.}").problems


def test_names() -> None:
    assert fields(parse("v1", "Service", "spec: {ports: [{port: 1}]}", name="1a")) == ["metadata.name"]
    assert fields(parse("v1", "Namespace", "", name="a.b")) == ["metadata.name"]
    assert fields(parse("v1", "ServiceAccount", "", name="A")) == ["metadata.name"]
    assert not parse("v1", "ServiceAccount", "", name="a.b").problems
    assert fields(parse("v1", "ServiceAccount", "", name="''")) == ["metadata.name"]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ("{containers: []}", "spec.containers"),
        ("{containers: [{name: A}]}", "spec.containers[0].name"),
        ("{containers: [{name: a}, {name: a}]}", "spec.containers[1].name"),
        ("{initContainers: [{name: a}], containers: [{name: a}]}", "spec.containers[0].name"),
        ("{containers: [{name: a, ports: [{containerPort: 0}]}]}", "spec.containers[0].ports[0].containerPort"),
        ("{containers: [{name: a, ports: [{containerPort: 1, name: x--y}]}]}", "spec.containers[0].ports[0].name"),
        ("{containers: [{name: a, env: [{name: A=B}]}]}", "spec.containers[0].env[0].name"),
        ("{containers: [{name: a, env: [{name: A, value: 1}]}]}", "spec.containers[0].env[0].value"),
        ("{containers: [{name: a, env: [{name: A, value: x, valueFrom: {}}]}]}", "spec.containers[0].env[0].valueFrom"),
        ("{containers: [{name: a, command: sleep}]}", "spec.containers[0].command"),
        ("{containers: [{name: a, readinessProbe: {}}]}", "spec.containers[0].readinessProbe"),
        ("{containers: [{name: a, livenessProbe: {exec: {}}}]}", "spec.containers[0].livenessProbe.exec.command"),
        (
            "{containers: [{name: a, startupProbe: {tcpSocket: {port: 0}}}]}",
            "spec.containers[0].startupProbe.tcpSocket.port",
        ),
        (
            "{containers: [{name: a, readinessProbe: {tcpSocket: {port: 1}, periodSeconds: 0}}]}",
            "spec.containers[0].readinessProbe.periodSeconds",
        ),
        ("{containers: [{name: a}], nodeName: A}", "spec.nodeName"),
        ("{containers: [{name: a}], hostname: a.b}", "spec.hostname"),
        ("{containers: [{name: a}], restartPolicy: always}", "spec.restartPolicy"),
        ("{containers: [{name: a}], terminationGracePeriodSeconds: -1}", "spec.terminationGracePeriodSeconds"),
        ("{containers: [{name: a}], dnsPolicy: None}", "spec.dnsConfig.nameservers"),
        ("{containers: [{name: a}], dnsConfig: {nameservers: [x]}}", "spec.dnsConfig.nameservers[0]"),
    ],
)
def test_pods(spec: str, field: str) -> None:
    assert fields(parse("v1", "Pod", f"spec: {spec}")) == [field]


def test_a_right_pod() -> None:
    result = parse(
        "v1",
        "Pod",
        "spec: {containers: [{name: a, ports: [{containerPort: 53, name: dns, protocol: UDP}], "
        "readinessProbe: {httpGet: {port: http}}, "
        "env: [{name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]}], serviceAccountName: s}",
    )
    assert not result.problems
    pod = result.resources[0].resource
    assert isinstance(pod, Pod)
    assert pod.service_account == "s"
    assert pod.container_port("dns") is None
    assert pod.container_port("dns", "UDP") == 53
    assert pod.addresses == ()
    assert not pod.ready
    assert not pod.finished
    reference = pod.spec.containers[0].env[0].value_from
    assert reference is not None
    assert reference.field_ref is not None
    assert reference.field_ref.field_path == "status.podIP"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            "{selector: {matchLabels: {a: b}}, template: {spec: {containers: [{name: a}]}}}",
            ["spec.selector.matchLabels.a"],
        ),
        ("{replicas: -1, selector: {}, template: {spec: {containers: [{name: a}]}}}", ["spec.replicas"]),
        ("{selector: {}, template: {spec: {containers: [{name: A}]}}}", ["spec.template.spec.containers[0].name"]),
        (
            "{selector: {}, template: {spec: {containers: [{name: a}]}}, strategy: {rollingUpdate: {maxSurge: 1.5%}}}",
            ["spec.strategy.rollingUpdate.maxSurge"],
        ),
        (
            "{selector: {}, template: {spec: {containers: [{name: a}]}}, strategy: {rollingUpdate: {maxSurge: 0}}}",
            [],
        ),
    ],
)
def test_deployments(spec: str, expected: list[str]) -> None:
    assert fields(parse("apps/v1", "Deployment", f"spec: {spec}")) == expected


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("addressType: IPv4\nendpoints: [{addresses: []}]", ["endpoints[0].addresses"]),
        ("addressType: IPv4\nendpoints: [{addresses: [x]}]", ["endpoints[0].addresses[0]"]),
        ("addressType: IPv4\nendpoints: [{addresses: ['fd00::1']}]", ["endpoints[0].addresses[0]"]),
        ("addressType: IPv6\nendpoints: [{addresses: [10.0.0.1]}]", ["endpoints[0].addresses[0]"]),
        ("addressType: IPv4\nports: [{port: 0}]", ["ports[0].port"]),
        ("addressType: ipv4", ["addressType"]),
        ("endpoints: []", ["addressType"]),
        ("addressType: FQDN\nendpoints: [{addresses: [a.example.com]}]", []),
    ],
)
def test_endpoint_slices(rest: str, expected: list[str]) -> None:
    assert fields(parse("discovery.k8s.io/v1", "EndpointSlice", rest)) == expected


def test_unknown_readiness_is_readiness() -> None:
    text = (
        "addressType: IPv4\nendpoints: [{addresses: [10.0.0.1]}, {addresses: [10.0.0.2], conditions: {ready: false}}]"
    )
    slices = parse("discovery.k8s.io/v1", "EndpointSlice", text).resources[0].resource
    assert isinstance(slices, EndpointSlice)
    assert [endpoint.ready for endpoint in slices.endpoints] == [True, False]
    assert slices.service_name == ""
