"""Text → resources and problems."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidestep.api.dump import to_yaml
from sidestep.api.kubernetes.pod import Pod
from sidestep.api.kubernetes.service import Service
from sidestep.api.meta import ResourceKey
from sidestep.api.parse import ParseResult, Problem, parse_documents
from sidestep.api.registry import KINDS, kinds

_SHOP = Path(__file__).parents[2] / "samples" / "shop"


def parse(text: str) -> ParseResult:
    return parse_documents(text, file="f.yaml")


def problem(text: str) -> Problem:
    result = parse(text)
    assert not result.resources
    (found,) = result.problems
    return found


_SERVICE = """\
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector:
    app: web
  ports:
    - port: {port}
"""


def test_the_example_of_the_contract() -> None:
    found = problem(_SERVICE.format(port="http"))
    assert str(found) == "f.yaml:9: spec.ports[0].port: expected an integer from 1 to 65535, got 'http'"
    assert found.key == ResourceKey(kind="Service", namespace="default", name="web")
    assert found.severity == "error"


def test_a_resource_with_its_place_and_document() -> None:
    text = "# comment\n\n---\n" + _SERVICE.format(port=80) + "  unknownField: {a: 1}\n"
    (parsed,) = parse(text).resources
    assert isinstance(parsed.resource, Service)
    assert parsed.resource.key == ResourceKey(kind="Service", namespace="default", name="web")
    assert parsed.resource.spec.ports[0].port == 80
    assert (parsed.file, parsed.line) == ("f.yaml", 4)
    assert parsed.document["spec"]["unknownField"] == {"a": 1}
    assert "namespace" not in parsed.document["metadata"]


def test_the_default_namespace() -> None:
    text = _SERVICE.format(port=80)
    (parsed,) = parse_documents(text, file="f", default_namespace="other").resources
    assert parsed.resource.namespace == "other"
    (parsed,) = parse_documents(
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, namespace: b}", file="f"
    ).resources
    assert parsed.resource.key == ResourceKey(kind="Namespace", namespace="", name="a")


def test_every_mismatch_is_told_with_its_line() -> None:
    result = parse(
        """\
apiVersion: v1
kind: Service
metadata:
  name: web
  labels:
    version: 1
    on: yes
spec:
  type: clusterip
  selector: app
  ports:
    port: 80
"""
    )
    assert [str(found).removeprefix("f.yaml:") for found in result.problems] == [
        "6: metadata.labels.version: expected text, got 1; put it in quotes",
        "7: metadata.labels.on: expected text, got true; put it in quotes",
        "9: spec.type: expected one of ClusterIP, ExternalName, LoadBalancer, NodePort, got 'clusterip'; did you mean ClusterIP?",  # noqa: E501
        "10: spec.selector: expected a mapping, got 'app'",
        "11: spec.ports: expected a list, got a mapping; begin each item with '- '",
    ]


def test_missing_fields_point_to_where_they_belong() -> None:
    found = problem("apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\nspec:\n  nodeName: n\n")
    assert str(found) == "f.yaml:5: spec.containers: missing; expected a list"


def test_unknown_kinds_are_ignored_and_name_the_known() -> None:
    found = problem("apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: !x y}\n")
    assert found.severity == "ignored"
    assert found.line == 1
    assert "AuthorizationPolicy" in found.message


def test_a_core_name_in_another_group_is_another_kind() -> None:
    assert problem("apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: a}").severity == "ignored"


def test_an_unknown_version_of_a_known_kind_is_an_error() -> None:
    found = problem("apiVersion: apps/v1beta1\nkind: Deployment\nmetadata: {name: a}\n")
    assert (found.severity, found.field) == ("error", "apiVersion")
    assert "apps/v1" in found.message


@pytest.mark.parametrize(
    "text", ["5", "[1]", "text", "a: 1", "apiVersion: v1", "kind: Pod", "apiVersion: 1\nkind: Pod"]
)
def test_what_is_no_resource_is_an_error(text: str) -> None:
    found = problem(text)
    assert found.severity == "error"
    assert found.key is None


def test_lists_are_opened() -> None:
    result = parse(
        """\
apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: Namespace
    metadata: {name: a}
  - apiVersion: v1
    kind: List
    items:
      - apiVersion: v1
        kind: Namespace
        metadata:
          name: B
  - apiVersion: v1
    kind: ServiceAccount
    metadata: {name: c}
"""
    )
    assert [(parsed.resource.name, parsed.line) for parsed in result.resources] == [("a", 4), ("c", 14)]
    (found,) = result.problems
    assert (found.line, found.field) == (13, "metadata.name")


def test_a_faulty_document_keeps_its_key() -> None:
    found = problem("apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: b}\nspec: {}\nspec: {}\n")
    assert found.key == ResourceKey(kind="Pod", namespace="b", name="a")
    assert (found.line, found.field) == (5, "spec")


def test_one_bad_document_leaves_the_others() -> None:
    text = "---\n".join([_SERVICE.format(port=80), "a: [\n", _SERVICE.format(port=0).replace("web", "b"), "x"])
    result = parse(text)
    assert [parsed.resource.name for parsed in result.resources] == ["web"]
    assert [found.key and found.key.name for found in result.problems] == [None, "b", None]


def test_a_misspelt_field_of_a_policy_is_refused() -> None:
    found = problem(
        """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: a}
spec:
  rules:
    - form: [{source: {namespaces: [a]}}]
"""
    )
    assert str(found) == "f.yaml:6: spec.rules[0].form: there is no such field; did you mean 'from'?"


def test_the_sample_is_right() -> None:
    files = sorted(_SHOP.glob("*.yaml"))
    assert files
    for file in files:
        result = parse_documents(file.read_text(), file=file.name)
        assert not result.problems
        assert result.resources


def test_a_pod_as_a_cluster_exports_it() -> None:
    result = parse(
        """\
apiVersion: v1
kind: Pod
metadata:
  annotations: null
  creationTimestamp: "2026-01-31T12:00:00Z"
  managedFields: [{manager: kubectl, operation: Update}]
  name: a
  namespace: b
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: a-1, uid: u, blockOwnerDeletion: true}]
spec:
  containers:
    - name: c
      image: i
      resources: {limits: {cpu: 500m, memory: 1Gi}}
      volumeMounts: [{name: v, mountPath: /v}]
      livenessProbe: {httpGet: {path: /, port: http, scheme: HTTP}, failureThreshold: 3}
      ports: [{containerPort: 80, name: http, protocol: TCP}]
  tolerations: [{key: a, operator: Exists, tolerationSeconds: 300}]
  volumes: [{name: v, emptyDir: {}}]
status:
  phase: Running
  podIP: 10.0.0.1
  podIPs: [{ip: 10.0.0.1}, {ip: "fd00::1"}]
  qosClass: BestEffort
  conditions: [{type: Ready, status: "True", lastProbeTime: null, lastTransitionTime: 2026-01-31T12:00:01Z}]
  containerStatuses:
    - {name: c, ready: true, restartCount: 0, imageID: x, state: {running: {startedAt: 2026-01-31T12:00:01Z}}}
"""
    )
    assert not result.problems
    pod = result.resources[0].resource
    assert isinstance(pod, Pod)
    assert pod.ready
    assert pod.addresses == ("10.0.0.1", "fd00::1")
    assert pod.container_port("http") == 80
    assert pod.service_account == "default"


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=6)
    | st.sampled_from(["80", "10.0.0.1", "*", "TCP", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


def _fields(info_type: Any, depth: int = 4) -> st.SearchStrategy[Any]:
    """Documents of the right shape, now and then with something else in a field."""
    kind = msgspec.inspect.type_info(info_type) if isinstance(info_type, type) else info_type
    if isinstance(kind, msgspec.inspect.Metadata):
        return _fields(kind.type, depth)
    if depth == 0:
        return _json
    right: st.SearchStrategy[Any]
    if isinstance(kind, msgspec.inspect.StructType):
        right = st.fixed_dictionaries({}, optional={f.encode_name: _fields(f.type, depth - 1) for f in kind.fields})
    elif isinstance(kind, msgspec.inspect.VarTupleType):
        right = st.lists(_fields(kind.item_type, depth - 1), max_size=2)
    elif isinstance(kind, msgspec.inspect.DictType):
        right = st.dictionaries(
            st.sampled_from(["a", "80", "example.com/x", "-", "x y"]), _fields(kind.value_type, depth - 1)
        )
    elif isinstance(kind, msgspec.inspect.LiteralType):
        right = st.sampled_from(sorted(map(str, kind.values)))
    elif isinstance(kind, msgspec.inspect.UnionType):
        right = st.one_of([_fields(member, depth) for member in kind.types])
    else:
        right = _json
    return st.one_of(right, right, right, _json)


@pytest.mark.parametrize("info", kinds(), ids=lambda info: info.kind)
@settings(max_examples=25)
@given(data=st.data())
def test_any_document_of_a_kind_is_a_resource_or_has_problems(info: Any, data: st.DataObject) -> None:
    fields = data.draw(_fields(info.type))
    document = {"apiVersion": info.api_versions[0], "kind": info.kind}
    document |= fields if isinstance(fields, dict) else {"spec": fields}
    result = parse(to_yaml(document))
    assert len(result.resources) + bool(result.problems) == 1
    for found in result.problems:
        assert found.severity == "error"
        assert found.line >= 1
        assert found.message


_PIECES = [f"apiVersion: {api_version}\nkind: {kind}\n" for api_version, kind in sorted(KINDS)]
_PIECES += [
    "metadata:\n",
    "  name: a\n",
    "  name: [a]\n",
    "  labels:\n",
    "    a: 1\n",
    "spec:\n",
    "  ports:\n",
    "  - port: 80\n",
]
_PIECES += [
    "---\n",
    "kind: List\nitems:\n",
    "- ",
    "  ",
    "a: &a\n",
    "*a\n",
    "<<: *a\n",
    "\t",
    "'",
    "\0",
    "{",
    "]",
    "9" * 400,
]
_pieces = st.lists(st.sampled_from(_PIECES), max_size=20).map("".join)


@given(st.text() | _pieces)
def test_no_text_breaks_the_parser(text: str) -> None:
    result = parse(text)
    for found in result.problems:
        assert found.line >= 1
        assert str(found).startswith("f.yaml:")
    for parsed in result.resources:
        msgspec.json.encode(parsed.document)
