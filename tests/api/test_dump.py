"""Resources → text."""

import json
from typing import Any

import msgspec
import yaml

from sidestep.api.dump import to_document, to_json, to_yaml
from sidestep.api.kubernetes.container import Container
from sidestep.api.kubernetes.pod import Pod, PodAddress, PodCondition, PodStatus
from sidestep.api.meta import ObjectMeta
from sidestep.api.parse import parse_documents

_POD = """\
kind: Pod
apiVersion: v1
metadata:
  name: a
  finalizers: [x/y]
spec:
  volumes:
    - name: v
      emptyDir: {}
  containers:
    - name: one
      image: i
      resources: {limits: {cpu: 500m}}
    - name: two
      image: j
      securityContext: {runAsUser: 1}
status:
  qosClass: BestEffort
  phase: Pending
  conditions:
    - {type: Ready, status: "False", observedGeneration: 3, reason: Starting}
"""


def read(text: str) -> tuple[Pod, dict[str, Any]]:
    (parsed,) = parse_documents(text, file="f").resources
    assert isinstance(parsed.resource, Pod)
    return parsed.resource, dict(parsed.document)


def test_a_typed_pod_with_a_new_status_keeps_what_the_user_wrote() -> None:
    pod, original = read(_POD)
    ready = PodCondition(type="Ready", status="True")
    status = msgspec.structs.replace(
        pod.status, phase="Running", pod_ip="10.0.0.1", pod_ips=(PodAddress(ip="10.0.0.1"),), conditions=(ready,)
    )
    document = to_document(msgspec.structs.replace(pod, status=status), original)
    assert list(document) == ["kind", "apiVersion", "metadata", "spec", "status"]
    assert document["spec"] == original["spec"]
    assert document["metadata"] == original["metadata"] | {"namespace": "default"}
    assert document["status"] == {
        "qosClass": "BestEffort",
        "phase": "Running",
        "podIP": "10.0.0.1",
        "podIPs": [{"ip": "10.0.0.1"}],
        "conditions": [{"type": "Ready", "status": "True", "observedGeneration": 3}],
    }
    assert original["status"]["phase"] == "Pending"


def test_items_are_matched_by_name() -> None:
    pod, original = read(_POD)
    one, two = pod.spec.containers
    changed = (msgspec.structs.replace(two, image="k"), Container(name="three"), one)
    document = to_document(
        msgspec.structs.replace(pod, spec=msgspec.structs.replace(pod.spec, containers=changed)), original
    )
    assert document["spec"]["containers"] == [
        {"name": "two", "image": "k", "securityContext": {"runAsUser": 1}},
        {"name": "three"},
        {"name": "one", "image": "i", "resources": {"limits": {"cpu": "500m"}}},
    ]


def test_a_field_set_to_its_default_goes() -> None:
    pod, original = read(_POD)
    document = to_document(msgspec.structs.replace(pod, status=PodStatus()), original)
    assert "status" not in document


def test_a_pod_of_our_own_is_read_back_as_it_was() -> None:
    pod, _ = read(_POD)
    pod = pod.in_namespace("default")
    again, _ = read(to_yaml(to_document(pod)))
    assert again == pod
    assert to_document(pod)["apiVersion"] == "v1"


def test_texts_that_look_like_something_else_stay_texts() -> None:
    labels = {
        "a": "1",
        "b": "yes",
        "c": "2026-01-01",
        "d": "null",
        "e": "12:30",
        "f": "0x1f",
        "g": "",
        "h": "1e3",
        "i": "08",
        "j": "0o7",
        "k": "x\ny",
    }
    labels |= {"l": "- a", "m": "<<", "n": "=", "o": "123e4567"}
    pod, _ = read(_POD)
    pod = msgspec.structs.replace(pod, metadata=ObjectMeta(name="a", namespace="b", annotations=labels))
    text = to_yaml(to_document(pod))
    assert read(text)[0].metadata.annotations == labels
    assert "o: '123e4567'" in text


def test_several_documents_and_no_anchors() -> None:
    shared = {"x": [1]}
    text = to_yaml([{"a": shared, "b": shared}, {"c": "é"}])
    assert "&" not in text
    assert "é" in text
    assert list(yaml.safe_load_all(text)) == [{"a": shared, "b": shared}, {"c": "é"}]


def test_json() -> None:
    assert json.loads(to_json({"a": [1, "é"]})) == {"a": [1, "é"]}
    assert to_json({"a": 1}) == '{\n  "a": 1\n}\n'
