"""Which pods belong to the mesh, and which of them take HBONE already. Labels and annotations are Istio's."""

from __future__ import annotations

from collections.abc import Mapping

from sidestep.api.kubernetes.namespace import Namespace
from sidestep.api.kubernetes.pod import Pod
from sidestep.mesh.model import TunnelProtocol

MODE_LABEL = "istio.io/dataplane-mode"
REDIRECTION_ANNOTATION = "ambient.istio.io/redirection"
TUNNEL_LABEL = "networking.istio.io/tunnel"
_SIDECAR_ANNOTATION = "sidecar.istio.io/status"
_EXCLUDED_NAMESPACES = frozenset({"kube-system"})
_AMBIENT, _NONE = "ambient", "none"


def is_enrolled(pod: Pod, namespace: Namespace | None) -> bool:
    """True if `pod` should be captured: its own label decides, else its namespace's.

    Never captured: pods on the host's network, pods with a sidecar, pods of kube-system. A namespace of which there
    is no resource has no labels.
    """
    metadata = pod.metadata
    if (
        metadata.namespace in _EXCLUDED_NAMESPACES
        or pod.spec.host_network
        or _SIDECAR_ANNOTATION in metadata.annotations
    ):
        return False
    own = metadata.labels.get(MODE_LABEL)
    if own in (_AMBIENT, _NONE):
        return own == _AMBIENT
    return namespace is not None and namespace.metadata.labels.get(MODE_LABEL) == _AMBIENT


def tunnel_of(labels: Mapping[str, str], annotations: Mapping[str, str]) -> tuple[TunnelProtocol, bool]:
    """(how the workload takes traffic, whether it speaks HBONE itself)."""
    if "http" in labels.get(TUNNEL_LABEL, "").split(","):
        return TunnelProtocol.HBONE, True
    if annotations.get(REDIRECTION_ANNOTATION) == "enabled":
        return TunnelProtocol.HBONE, False
    return TunnelProtocol.NONE, False
