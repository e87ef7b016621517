"""`apply` and `delete`: manifests into and out of the store. Blocking."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from sidestep.api.meta import ResourceKey
from sidestep.api.parse import Parsed
from sidestep.local.errors import BadDataError, UnavailableError
from sidestep.local.instance import Instance
from sidestep.local.merge import Document, merge, terminating, user_part
from sidestep.local.service_addresses import ServiceRanges, addresses_of, with_addresses
from sidestep.local.store import Store
from sidestep.local.times import now

Outcome = Literal["created", "configured", "replaced", "unchanged", "deleted", "not found"]
BASE_NAMESPACES = ("default", "istio-system")
"""There from the start: where resources go that name none, and the root of mesh-wide policies."""
_POLL_SECONDS = 0.05


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one manifest."""

    key: ResourceKey
    outcome: Outcome


def apply(store: Store, resources: Sequence[Parsed], instance: Instance | None) -> tuple[Applied, ...]:
    """Write them all, Namespaces first; nothing is written if one of them cannot be."""
    # Namespaces have no namespace: they sort first
    ordered = sorted(resources, key=lambda parsed: parsed.resource.key.kind != "Namespace")
    with store.locked():
        _check_namespaces(store, ordered)
        ranges = _ranges(store, instance)
        return tuple(_apply_one(store, parsed, ranges) for parsed in ordered)


def delete(store: Store, keys: Iterable[ResourceKey], *, running: bool) -> tuple[Applied, ...]:
    """Remove them. Pods of a running instance are only asked to end; `wait_gone` waits for that."""
    results = []
    with store.locked():
        for key in keys:
            found = _delete_one(store, key, running=running)
            if key.kind == "Namespace":
                for inner in [k for k in store.all() if k.namespace == key.name]:
                    _delete_one(store, inner, running=running)
            results.append(Applied(key=key, outcome="deleted" if found else "not found"))
    return tuple(results)


def wait_gone(store: Store, keys: Iterable[ResourceKey], seconds: float) -> None:
    """Until the resources have left the store."""
    deadline = time.monotonic() + seconds
    for key in keys:
        while store.get(key) is not None:
            if time.monotonic() > deadline:
                raise UnavailableError(f"{key.kind} {key.name} has not ended after {seconds:.0f} s")
            time.sleep(_POLL_SECONDS)


def ensure_namespace(store: Store, name: str) -> None:
    """Make a Namespace that every cluster has."""
    key = ResourceKey(kind="Namespace", namespace="", name=name)
    with store.locked():
        if store.get(key) is None:
            manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            store.put(key, merge(None, manifest, namespace="", now=now()))


def _apply_one(store: Store, parsed: Parsed, ranges: ServiceRanges | None) -> Applied:
    key = parsed.resource.key
    existing = store.get(key)
    document = merge(existing, parsed.document, namespace=key.namespace, now=now())
    if key.kind == "Service" and ranges is not None:
        document = with_addresses(document, ranges)
    outcome = _outcome(existing, document)
    if outcome != "unchanged":
        store.put(key, document)
    return Applied(key=key, outcome=outcome)


def _outcome(existing: Document | None, document: Document) -> Outcome:
    if existing is None:
        return "created"
    if existing["metadata"].get("uid") != document["metadata"].get("uid"):
        return "replaced"
    return "unchanged" if user_part(existing) == user_part(document) else "configured"


def _delete_one(store: Store, key: ResourceKey, *, running: bool) -> bool:
    document = store.get(key)
    if document is None:
        return False
    if key.kind == "Pod" and running:
        store.put(key, terminating(document, now()))
    else:
        store.remove(key)
    return True


def _check_namespaces(store: Store, resources: Sequence[Parsed]) -> None:
    known = {key.name for key in store.all("Namespace")} | set(BASE_NAMESPACES)
    known |= {parsed.resource.key.name for parsed in resources if parsed.resource.key.kind == "Namespace"}
    for parsed in resources:
        namespace = parsed.resource.key.namespace
        if namespace and namespace not in known:
            raise BadDataError(
                f"{parsed.file}:{parsed.line}: there is no namespace {namespace!r}; add a Namespace resource of that "
                "name, or apply one first"
            )


def _ranges(store: Store, instance: Instance | None) -> ServiceRanges | None:
    if instance is None:
        return None
    taken = [address for document in store.all("Service").values() for address in addresses_of(document)]
    return ServiceRanges(instance.service_range, instance.service_range6 if instance.ipv6 else None, taken)
