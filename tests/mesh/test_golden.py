from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
import yaml
from tests.golden_support import GoldenCase, check, golden_cases
from tests.mesh.resources import built

from sidestep.mesh.wds import decode_address, decode_policy, encode_policy, encode_service, encode_workload

CASES = golden_cases(Path(__file__).parents[1] / "golden" / "mesh")


def plain(value: object) -> object:
    """As YAML can hold it, without fields that have their default."""
    match value:
        case msgspec.Struct():
            fields = msgspec.structs.fields(value)
            return {
                field.name: plain(item)
                for field in fields
                if (item := getattr(value, field.name)) != field.default
                and (field.default_factory is msgspec.NODEFAULT or item != field.default_factory())
            }
        case enum.Enum():
            return value.value
        case Mapping():
            return {key: plain(item) for key, item in sorted(value.items())}
        case tuple():
            return [plain(item) for item in value]
        case _:
            return value


@pytest.mark.parametrize("case", CASES, ids=str)
def test_golden(case: GoldenCase) -> None:
    check(case, yaml.safe_dump(plain(built(case.text)), sort_keys=False, width=120, allow_unicode=True))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_is_built_survives_the_wire(case: GoldenCase) -> None:
    mesh = built(case.text).mesh
    for workload in mesh.workloads.values():
        assert decode_address(encode_workload(workload).SerializeToString()) == workload
    for service in mesh.services.values():
        assert decode_address(encode_service(service).SerializeToString()) == service
    for policy in mesh.policies.values():
        assert decode_policy(encode_policy(policy).SerializeToString()) == policy


@pytest.mark.parametrize("case", CASES, ids=str)
def test_keys_are_the_resources_own(case: GoldenCase) -> None:
    mesh = built(case.text).mesh
    assert all(uid == workload.uid for uid, workload in mesh.workloads.items())
    assert all(key == service.key for key, service in mesh.services.items())
    assert all(key == policy.key for key, policy in mesh.policies.items())
    for workload in mesh.workloads.values():
        assert set(workload.services) <= set(mesh.services)
        assert set(workload.authorization_policies) <= set(mesh.policies)
