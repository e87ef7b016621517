"""The node proxy's translators, against `tests/golden/node`.

An input has `settings`, `pods`, `workloads`, `services` and `policies` as the model spells them, `show`: what to print
(`clusters`, `listeners`, `policies`), and `ask`: destinations that Envoy asks for.
"""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from google.protobuf import json_format
from google.protobuf.message import Message
from tests.golden_support import GoldenCase, check, golden_cases

from sidestep.mesh.model import Policy, Service, Workload
from sidestep.node.pods import Pod
from sidestep.node.settings import NodeSettings
from sidestep.node.translator import destinations, names, node_proxy
from sidestep.node.view import MeshView

CASES = golden_cases(Path(__file__).parents[2] / "golden" / "node")


class Input(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    settings: NodeSettings
    pods: tuple[Pod, ...] = ()
    workloads: tuple[Workload, ...] = ()
    services: tuple[Service, ...] = ()
    policies: tuple[Policy, ...] = ()
    show: tuple[str, ...] = ()
    ask: tuple[str, ...] = ()


def as_data(message: Message) -> Any:
    return json.loads(json_format.MessageToJson(message, preserving_proto_field_name=True))


def answer(given: Input, view: MeshView, target: str) -> dict[str, Any]:
    parsed = names.parse_destination(names.DESTINATION_PREFIX + target)
    assert parsed is not None
    found = destinations.find(view, given.settings, *parsed)
    if not isinstance(found, destinations.Destination):
        return {type(found).__name__.lower(): msgspec.to_builtins(found)}
    local = {address: pod.uid for pod in given.pods for address in pod.addresses}
    return {
        "cluster": as_data(destinations.destination_cluster(given.settings, found)),
        "endpoints": as_data(destinations.load_assignment(given.settings, found, local)),
    }


def translate(given: Input) -> dict[str, Any]:
    view = MeshView()
    for service in given.services:
        view.put(service)
    for workload in given.workloads:
        view.put(workload)
    for policy in given.policies:
        view.put_policy(policy)
    made: dict[str, Any] = {}
    if "clusters" in given.show:
        made["clusters"] = [as_data(each) for each in node_proxy.static_clusters(given.settings)]
    if "listeners" in given.show:
        outside = node_proxy.outside_ranges(given.settings, view.addresses())
        made["listeners"] = [as_data(each) for each in node_proxy.listeners(given.settings, view, given.pods, outside)]
    if "policies" in given.show:
        made["policies"] = [
            as_data(each) for pod in given.pods for each in node_proxy.policies(given.settings, view, pod)
        ]
    made |= {target: answer(given, view, target) for target in given.ask}
    return made


@pytest.mark.parametrize("case", CASES, ids=str)
def test_golden(case: GoldenCase) -> None:
    given = msgspec.convert(yaml.safe_load(case.text), Input)
    check(case, yaml.safe_dump(translate(given), sort_keys=True, width=120))
