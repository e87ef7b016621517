"""PeerAuthentication (security.istio.io): whether plaintext is admitted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

from sidestep.api import validate
from sidestep.api.istio.selector import WorkloadSelector, selector_findings
from sidestep.api.meta import Finding, Resource, StrictModel

Mode = Literal["UNSET", "DISABLE", "PERMISSIVE", "STRICT"]


class MutualTls(StrictModel, frozen=True, kw_only=True):
    """UNSET inherits from the level above."""

    mode: Mode = "UNSET"


class PeerAuthenticationSpec(StrictModel, frozen=True, kw_only=True):
    """For all ports, and port by port."""

    selector: WorkloadSelector | None = None
    """None: the whole namespace; in the root namespace: the mesh."""
    mtls: MutualTls = MutualTls()
    port_level_mtls: Mapping[int, MutualTls] = {}
    """By the workload's own port; only with a selector."""


class PeerAuthentication(Resource, frozen=True, kw_only=True):
    """Of the mesh, a namespace, or selected workloads."""

    KIND: ClassVar[str] = "PeerAuthentication"
    API_VERSION: ClassVar[str] = "security.istio.io/v1"

    spec: PeerAuthenticationSpec = PeerAuthenticationSpec()

    def value_findings(self) -> Iterator[Finding]:
        spec = self.spec
        yield from selector_findings(spec.selector, ("spec", "selector"))
        for port in spec.port_level_mtls:
            yield from validate.port(port, ("spec", "portLevelMtls", str(port)))
        if spec.port_level_mtls and (spec.selector is None or not spec.selector.match_labels):
            yield Finding(("spec", "portLevelMtls"), "only for selected workloads; add selector.matchLabels")
