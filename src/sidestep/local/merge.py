"""What `apply` makes of a manifest and the resource that is there already. Pure.

The manifest replaces the resource, except for what the runtime wrote into it: uid, creation time, status, the
addresses of a Service, the node of a Pod and its enrolment.
"""

from __future__ import annotations

import copy
import secrets
import uuid
from collections.abc import Mapping
from typing import Any

REDIRECTION = "ambient.istio.io/redirection"
"""Annotation of a pod that is in the mesh."""
_SERVICE_FIELDS = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")
_RUNTIME_ANNOTATIONS = (REDIRECTION,)

Document = dict[str, Any]


def merge(existing: Mapping[str, Any] | None, manifest: Mapping[str, Any], *, namespace: str, now: str) -> Document:
    """The new resource. `namespace` is empty for a kind without namespaces."""
    document: Document = copy.deepcopy(dict(manifest))
    metadata = document["metadata"] = dict(document.get("metadata") or {})
    if namespace:
        metadata["namespace"] = namespace
    else:
        metadata.pop("namespace", None)
    document.pop("status", None)
    for field in ("uid", "creationTimestamp", "resourceVersion", "managedFields", "deletionTimestamp"):
        metadata.pop(field, None)
    if existing is None or _replaces_pod(existing, document):
        return _fresh(document, now)
    _keep(existing, document)
    return document


def terminating(pod: Mapping[str, Any], now: str) -> Document:
    """The pod, asked to end."""
    return {**pod, "metadata": {"deletionTimestamp": now, **pod["metadata"]}}


def new_uid() -> str:
    """As Kubernetes makes them."""
    return str(uuid.uuid4())


def random_suffix() -> str:
    """Five characters, as in the names of a Deployment's pods."""
    return "".join(secrets.choice("bcdfghjklmnpqrstvwxz2456789") for _ in range(5))


def user_part(document: Mapping[str, Any]) -> Document:
    """The resource without what the runtime wrote into it: equal ones mean that nothing was changed."""
    copied: Document = copy.deepcopy(dict(document))
    copied.pop("status", None)
    metadata = copied["metadata"]
    for field in ("uid", "creationTimestamp"):
        metadata.pop(field, None)
    return copied


def _fresh(document: Document, now: str) -> Document:
    metadata = document["metadata"]
    metadata["uid"] = new_uid()
    metadata["creationTimestamp"] = now
    annotations = metadata.get("annotations")
    if annotations:
        # a manifest exported from a cluster claims an enrolment that is not ours
        metadata["annotations"] = {k: v for k, v in annotations.items() if k not in _RUNTIME_ANNOTATIONS}
    return document


def _keep(existing: Mapping[str, Any], document: Document) -> None:
    old, new = existing["metadata"], document["metadata"]
    for field in ("uid", "creationTimestamp", "ownerReferences", "deletionTimestamp"):
        if field in old:
            new.setdefault(field, old[field])
    if "status" in existing:
        document["status"] = copy.deepcopy(existing["status"])
    if existing["kind"] == "Pod":
        _keep_pod(existing, document)
    elif existing["kind"] == "Service":
        _keep_service(existing, document)


def _keep_pod(existing: Mapping[str, Any], document: Document) -> None:
    old, new = existing["metadata"], document["metadata"]
    kept = {k: v for k, v in (old.get("annotations") or {}).items() if k in _RUNTIME_ANNOTATIONS}
    users = {k: v for k, v in (new.get("annotations") or {}).items() if k not in _RUNTIME_ANNOTATIONS}
    if users or kept:
        new["annotations"] = users | kept
    if node := (existing.get("spec") or {}).get("nodeName"):
        document["spec"].setdefault("nodeName", node)


def _keep_service(existing: Mapping[str, Any], document: Document) -> None:
    spec, old = document.setdefault("spec", {}), existing.get("spec") or {}
    if spec.get("type") != "ExternalName" and spec.get("clusterIP") is None:
        for field in _SERVICE_FIELDS:
            if field in old:
                spec.setdefault(field, old[field])


def _replaces_pod(existing: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    """A running pod cannot change what it runs: another spec means another pod. So does one that is ending."""
    if existing["kind"] != "Pod":
        return False
    if "deletionTimestamp" in existing["metadata"]:
        return True
    old, new = dict(existing.get("spec") or {}), dict(document.get("spec") or {})
    new.setdefault("nodeName", old.get("nodeName"))
    old.setdefault("nodeName", None)
    return old != new
