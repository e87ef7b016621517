"""The resources at the start of a run: those of a run before, made fresh, and the manifests named."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

from sidestep.api.meta import ResourceKey
from sidestep.api.parse import Parsed
from sidestep.local.apply import BASE_NAMESPACES, apply, ensure_namespace
from sidestep.local.instance import Instance
from sidestep.local.merge import REDIRECTION, Document, new_uid
from sidestep.local.store import Store


def prepare_resources(store: Store, resources: Sequence[Parsed], instance: Instance, previous: Instance | None) -> None:
    """Nothing runs yet: pods of the run before are taken as new ones."""
    store.folder.mkdir(parents=True, exist_ok=True)
    for name in BASE_NAMESPACES:
        ensure_namespace(store, name)
    for key, document in store.all().items():
        _renew(store, key, document, instance, previous)
    apply(store, resources, instance)


def _renew(store: Store, key: ResourceKey, document: Document, instance: Instance, previous: Instance | None) -> None:
    if key.kind == "Service" and previous is not None and previous.slot != instance.slot:
        store.update(key, lambda service: _without_addresses(service, previous))
    elif key.kind == "Pod":
        metadata = document["metadata"]
        if metadata.get("ownerReferences") or "deletionTimestamp" in metadata:
            with store.locked():
                store.remove(key)
        else:
            store.update(key, lambda pod: _fresh_pod(pod, instance))


def _fresh_pod(pod: Document, instance: Instance) -> Document:
    metadata = {**pod["metadata"], "uid": new_uid()}
    annotations = {k: v for k, v in (metadata.pop("annotations", None) or {}).items() if k != REDIRECTION}
    if annotations:
        metadata["annotations"] = annotations
    spec = dict(pod.get("spec") or {})
    if spec.get("nodeName") not in instance.nodes:
        spec.pop("nodeName", None)
    return {k: v for k, v in {**pod, "metadata": metadata, "spec": spec}.items() if k != "status"}


def _without_addresses(service: Document, previous: Instance) -> Document:
    """Addresses that the run before allocated; those that the manifest chose are kept."""
    spec: dict[str, Any] = dict(service.get("spec") or {})
    given = [address for address in spec.get("clusterIPs") or () if address != "None"]
    ranges = (previous.service_range, previous.service_range6)
    if any(ip_address(address) in network for address in given for network in ranges):
        spec.pop("clusterIP", None)
        spec.pop("clusterIPs", None)
    return {**service, "spec": spec}
