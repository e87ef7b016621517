"""Names that telemetry gives to workloads: canonical service, revision, and the controller behind a pod."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sidestep.api.meta import OwnerReference

# In order of precedence; the labels are Istio's.
_NAME_LABELS = (
    "service.istio.io/canonical-name",
    "service.istio.io/workload-name",
    "app.kubernetes.io/name",
    "app",
)
_REVISION_LABELS = ("service.istio.io/canonical-revision", "app.kubernetes.io/version", "version")
_DEFAULT_REVISION = "latest"
_TEMPLATE_HASH = "pod-template-hash"
_TYPES = {"Deployment": "deployment", "Job": "job", "CronJob": "cronjob"}


def canonical_name(labels: Mapping[str, str], workload_name: str) -> str:
    """The service that a workload is part of, as its labels say."""
    return next((labels[label] for label in _NAME_LABELS if labels.get(label)), workload_name)


def canonical_revision(labels: Mapping[str, str]) -> str:
    """The version of that service, `latest` if no label says."""
    return next((labels[label] for label in _REVISION_LABELS if labels.get(label)), _DEFAULT_REVISION)


def workload_of(name: str, labels: Mapping[str, str], owners: Sequence[OwnerReference]) -> tuple[str, str]:
    """(type, name) of what made the pod; a pod that nobody made stands for itself.

    A ReplicaSet that carries a template hash in its name was made by a Deployment. A Job whose name ends in a time
    was made by a CronJob.
    """
    owner = next((owner for owner in owners if owner.controller), None)
    if owner is None:
        return "pod", name
    if owner.kind == "ReplicaSet":
        template = labels.get(_TEMPLATE_HASH, "")
        if template and owner.name.endswith(f"-{template}"):
            return "deployment", owner.name.removesuffix(f"-{template}")
    if owner.kind == "Job":
        stem, _, number = owner.name.rpartition("-")
        if stem and number.isdigit() and len(number) >= 8:
            return "cronjob", stem
    return _TYPES.get(owner.kind, "pod"), owner.name
