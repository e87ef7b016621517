"""Which pods belong to the mesh. The labels are Istio's."""

from __future__ import annotations

from sidestep.api.kubernetes.namespace import Namespace
from sidestep.api.kubernetes.pod import Pod

MODE_LABEL = "istio.io/dataplane-mode"
REDIRECTION_ANNOTATION = "ambient.istio.io/redirection"
_SIDECAR_ANNOTATION = "sidecar.istio.io/status"
_EXCLUDED_NAMESPACES = frozenset({"kube-system"})


def is_enrolled(pod: Pod, namespace: Namespace | None) -> bool:
    """True if `pod` should be captured: its own label decides, else its namespace's.

    Never captured: pods on the host's network, pods with a sidecar, pods of kube-system. A namespace of which there
    is no resource has no labels.
    """
    raise NotImplementedError
