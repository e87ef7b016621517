"""The mesh → WDS resources in the xDS cache. What did not change is neither encoded nor sent again."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TypeVar

from google.protobuf.message import Message

from sidestep.mesh import wds
from sidestep.mesh.model import Mesh, Policy, Service, Workload
from sidestep.wire import istio
from sidestep.xds.cache import Cache
from sidestep.xds.resource import Resource

_Item = TypeVar("_Item", Workload, Service, Policy)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """What one type's resources became."""

    type_url: str
    changed: tuple[Resource, ...]
    removed: tuple[str, ...]


def changes(old: Mesh, new: Mesh) -> tuple[Changes, ...]:
    """What leads from one mesh to the other; policies first, so that no workload appears before its policies.

    Pure, and long for a mesh of thousands: run it in a thread.
    """
    policies = _differences(old.policies, new.policies, _policy)
    services = _differences(old.services, new.services, _address(wds.encode_service))
    workloads = _differences(old.workloads, new.workloads, _address(wds.encode_workload))
    return (
        Changes(type_url=istio.AUTHORIZATION, changed=policies[0], removed=policies[1]),
        Changes(type_url=istio.ADDRESS, changed=services[0] + workloads[0], removed=services[1] + workloads[1]),
    )


def publish(cache: Cache, all_changes: tuple[Changes, ...]) -> int:
    """Put them into the cache, which from then on knows all there is; gives how many resources changed."""
    for each in all_changes:
        if each.changed or each.removed:
            cache.update(each.type_url, each.changed, each.removed)
    for each in all_changes:
        cache.mark_complete(each.type_url)
    return sum(len(each.changed) + len(each.removed) for each in all_changes)


def _differences(
    old: Mapping[str, _Item], new: Mapping[str, _Item], encode: Callable[[_Item], Resource]
) -> tuple[tuple[Resource, ...], tuple[str, ...]]:
    changed = tuple(encode(item) for key, item in new.items() if old.get(key) != item)
    removed = tuple(wds.resource_name(item) for key, item in old.items() if key not in new)
    return changed, removed


def _policy(policy: Policy) -> Resource:
    return Resource.of(wds.resource_name(policy), wds.encode_policy(policy))


def _address(encode: Callable[[_Item], Message]) -> Callable[[_Item], Resource]:
    def address(item: _Item) -> Resource:
        if isinstance(item, Policy):
            raise TypeError("a policy is no address")
        return Resource.of(wds.resource_name(item), encode(item), wds.aliases(item))

    return address
