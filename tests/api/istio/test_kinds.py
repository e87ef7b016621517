"""Values that Istio refuses, kind by kind."""

import pytest

from sidestep.api.istio.authorization_policy import AuthorizationPolicy
from sidestep.api.istio.peer_authentication import PeerAuthentication
from sidestep.api.parse import ParseResult, parse_documents


def parse(kind: str, spec: str) -> ParseResult:
    group = "security" if kind in ("PeerAuthentication", "AuthorizationPolicy") else "networking"
    text = f"apiVersion: {group}.istio.io/v1\nkind: {kind}\nmetadata: {{name: a, namespace: n}}\nspec: {spec}\n"
    return parse_documents(text, file="f")


def fields(result: ParseResult) -> list[str]:
    return [problem.field for problem in result.problems]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ("{mtls: {mode: STRICTEST}}", "spec.mtls.mode"),
        ("{mtls: {mod: STRICT}}", "spec.mtls.mod"),
        ("{mtls: {mode: STRICT}, portLevelMtls: {80: {mode: DISABLE}}}", "spec.portLevelMtls"),
        ("{selector: {matchLabels: {a: b}}, portLevelMtls: {0: {mode: DISABLE}}}", "spec.portLevelMtls.0"),
        ("{selector: {matchLabels: {a: 'b*'}}}", "spec.selector.matchLabels.a"),
        ("{selector: {matchLabel: {a: b}}}", "spec.selector.matchLabel"),
    ],
)
def test_peer_authentication(spec: str, field: str) -> None:
    assert fields(parse("PeerAuthentication", spec)) == [field]


def test_a_right_peer_authentication() -> None:
    result = parse(
        "PeerAuthentication", "{selector: {matchLabels: {a: b}}, portLevelMtls: {8080: {mode: PERMISSIVE}, 81: {}}}"
    )
    policy = result.resources[0].resource
    assert isinstance(policy, PeerAuthentication)
    assert {port: mtls.mode for port, mtls in policy.spec.port_level_mtls.items()} == {8080: "PERMISSIVE", 81: "UNSET"}
    assert policy.spec.mtls.mode == "UNSET"


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ("{action: allow}", "spec.action"),
        ("{rule: []}", "spec.rule"),
        ("{rules: [{from: []}]}", "spec.rules[0].from"),
        ("{rules: [{to: []}]}", "spec.rules[0].to"),
        ("{rules: [{when: []}]}", "spec.rules[0].when"),
        ("{rules: [{from: [{}]}]}", "spec.rules[0].from[0].source"),
        ("{rules: [{from: [{source: {}}]}]}", "spec.rules[0].from[0].source"),
        ("{rules: [{from: [{source: {principals: []}}]}]}", "spec.rules[0].from[0].source"),
        ("{rules: [{from: [{source: {principals: ['']}}]}]}", "spec.rules[0].from[0].source.principals[0]"),
        ("{rules: [{from: [{source: {ipBlocks: [10.0.0.0/40]}}]}]}", "spec.rules[0].from[0].source.ipBlocks[0]"),
        (
            "{rules: [{from: [{source: {serviceAccounts: ['a/*']}}]}]}",
            "spec.rules[0].from[0].source.serviceAccounts[0]",
        ),
        (
            "{rules: [{from: [{source: {serviceAccounts: [a], namespaces: [b]}}]}]}",
            "spec.rules[0].from[0].source.serviceAccounts",
        ),
        ("{rules: [{to: [{operation: {}}]}]}", "spec.rules[0].to[0].operation"),
        ("{rules: [{to: [{operation: {ports: [80]}}]}]}", "spec.rules[0].to[0].operation.ports[0]"),
        ("{rules: [{to: [{operation: {ports: ['http']}}]}]}", "spec.rules[0].to[0].operation.ports[0]"),
        ("{rules: [{to: [{operation: {notPorts: ['65536']}}]}]}", "spec.rules[0].to[0].operation.notPorts[0]"),
        ("{rules: [{to: [{operation: {paths: ['/a/{b}']}}]}]}", "spec.rules[0].to[0].operation.paths[0]"),
        ("{rules: [{when: [{key: source.name, values: [a]}]}]}", "spec.rules[0].when[0].key"),
        ("{rules: [{when: [{key: source.ip}]}]}", "spec.rules[0].when[0].values"),
        ("{rules: [{when: [{key: source.ip, values: [x]}]}]}", "spec.rules[0].when[0].values[0]"),
        ("{rules: [{when: [{key: destination.port, notValues: ['0']}]}]}", "spec.rules[0].when[0].notValues[0]"),
        ("{action: CUSTOM, rules: [{}]}", "spec.provider"),
        ("{action: CUSTOM, provider: {name: a}}", "spec.rules"),
        ("{action: DENY, provider: {name: a}}", "spec.provider"),
        ("{selector: {matchLabels: {a: b}}, targetRefs: [{kind: Service, name: a}]}", "spec.targetRefs"),
        ("{targetRefs: [{kind: Deployment, group: apps, name: a}]}", "spec.targetRefs[0].kind"),
        ("{targetRef: {kind: Service, name: a, namespace: other}}", "spec.targetRef.namespace"),
    ],
)
def test_authorization_policies(spec: str, field: str) -> None:
    assert fields(parse("AuthorizationPolicy", spec)) == [field]


def test_a_right_authorization_policy() -> None:
    result = parse(
        "AuthorizationPolicy",
        """
  action: DENY
  selector: {matchLabels: {app: a}}
  rules:
    - {}
    - from:
        - source: {principals: ["cluster.local/ns/a/sa/*"], notNamespaces: [b], ipBlocks: [10.0.0.1, "fd00::/8"]}
        - source: {serviceAccounts: [a, b/c]}
      to:
        - operation: {ports: ["80"], notPorts: ["81"], methods: [GET], paths: ["/a/{*}/b/{**}", "/x*"], hosts: ["*.a"]}
      when:
        - {key: "request.headers[x-a]", values: ["1"]}
        - {key: "request.auth.claims[a][b]", notValues: ["1"]}
        - {key: source.ip, values: [10.0.0.0/8]}
""",
    )
    assert not result.problems
    policy = result.resources[0].resource
    assert isinstance(policy, AuthorizationPolicy)
    empty, full = policy.spec.rules
    assert empty.from_ is None
    assert empty.to is None
    assert empty.when is None
    assert full.from_ is not None
    assert full.from_[0].source.not_namespaces == ("b",)
    assert policy.targets == ()


def test_no_rules_and_one_empty_rule_differ() -> None:
    nothing = parse("AuthorizationPolicy", "{}").resources[0].resource
    everything = parse("AuthorizationPolicy", "{rules: [{}]}").resources[0].resource
    assert isinstance(nothing, AuthorizationPolicy)
    assert isinstance(everything, AuthorizationPolicy)
    assert len(nothing.spec.rules) == 0
    assert len(everything.spec.rules) == 1


def test_targets() -> None:
    policy = parse("AuthorizationPolicy", "{targetRef: {kind: Service, name: a}}").resources[0].resource
    assert isinstance(policy, AuthorizationPolicy)
    assert [target.name for target in policy.targets] == ["a"]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("{address: 10.0.0.1, ports: {http: 8080}, locality: r/z/s, weight: 3, serviceAccount: a}", []),
        ("{network: n}", []),
        ("{address: vm.example.com}", []),
        ("{address: 'unix:///run/a.sock'}", []),
        ("{}", ["spec.address"]),
        ("{address: a b}", ["spec.address"]),
        ("{address: 'unix://a'}", ["spec.address"]),
        ("{address: 'unix:///a', ports: {a: 1}}", ["spec.ports"]),
        ("{address: 10.0.0.1, ports: {http: 0}}", ["spec.ports.http"]),
        ("{address: 10.0.0.1, locality: a//b}", ["spec.locality"]),
        ("{address: 10.0.0.1, weight: -1}", ["spec.weight"]),
        ("{address: 10.0.0.1, adress: x}", ["spec.adress"]),
    ],
)
def test_workload_entries(spec: str, expected: list[str]) -> None:
    assert fields(parse("WorkloadEntry", spec)) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("{hosts: [a.example.com], ports: [{number: 443, name: https, protocol: https}], resolution: DNS}", []),
        ("{hosts: ['*.example.com'], addresses: [10.0.0.0/8], ports: [{number: 1, name: a}]}", []),
        ("{hosts: [a.b], resolution: STATIC, endpoints: [{address: 10.0.0.1, ports: {a: 1}}]}", []),
        ("{hosts: [a.b], resolution: STATIC, workloadSelector: {labels: {a: b}}}", []),
        ("{hosts: []}", ["spec.hosts"]),
        ("{hosts: ['*']}", ["spec.hosts[0]"]),
        ("{hosts: [a.b], addresses: [x]}", ["spec.addresses[0]"]),
        ("{hosts: [a.b], ports: [{number: 1, name: a}, {number: 1, name: b}]}", ["spec.ports[1].number"]),
        ("{hosts: [a.b], ports: [{number: 1, name: a}, {number: 2, name: a}]}", ["spec.ports[1].name"]),
        ("{hosts: [a.b], ports: [{number: 1, name: a, protocol: QUIC}]}", ["spec.ports[0].protocol"]),
        ("{hosts: [a.b], ports: [{number: 1}]}", ["spec.ports[0].name"]),
        ("{hosts: [a.b], endpoints: [{address: 10.0.0.1}]}", ["spec.endpoints"]),
        ("{hosts: [a.b], resolution: STATIC, endpoints: [{address: c.d}]}", ["spec.endpoints[0].address"]),
        (
            "{hosts: [a.b], resolution: STATIC, endpoints: [{address: 10.0.0.1}], workloadSelector: {labels: {a: b}}}",
            ["spec.workloadSelector"],
        ),
        ("{hosts: ['*.b'], resolution: DNS}", ["spec.resolution"]),
        ("{hosts: [a.b], location: INSIDE}", ["spec.location"]),
    ],
)
def test_service_entries(spec: str, expected: list[str]) -> None:
    assert fields(parse("ServiceEntry", spec)) == expected


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha3"])
def test_older_versions_are_read(version: str) -> None:
    text = f"apiVersion: networking.istio.io/{version}\nkind: ServiceEntry\nmetadata: {{name: a}}\n"
    assert parse_documents(f"{text}spec: {{hosts: [a.b]}}\n", file="f").resources
