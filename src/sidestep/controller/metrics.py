"""The controller's metrics, under Istio's names where istiod has the same."""

from __future__ import annotations

import prometheus_client as prometheus

from sidestep.identity.authority import Authority
from sidestep.mesh.model import Mesh


class ControllerMetrics:
    """Counters and gauges of one controller, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = registry = prometheus.CollectorRegistry()
        self.connected = prometheus.Gauge("pilot_xds", "Open xDS streams.", registry=registry)
        self.rejects = prometheus.Counter(
            "pilot_total_xds_rejects", "Resources that nodes refused.", ["type"], registry=registry
        )
        self.build_seconds = prometheus.Histogram(
            "pilot_proxy_convergence_time",
            "From a changed folder to the published mesh, in seconds.",
            registry=registry,
        )
        self._pushed = prometheus.Counter("pilot_xds_pushes", "Resources published.", registry=registry)
        self._failures = prometheus.Counter("sidestep_build_failures", "Builds that failed.", registry=registry)
        self._problems = prometheus.Gauge("sidestep_problems", "Problems in the resources.", registry=registry)
        self._objects = prometheus.Gauge("sidestep_mesh_objects", "What the mesh has.", ["kind"], registry=registry)
        self._requests = prometheus.Counter("citadel_server_csr_count", "Signing requests.", registry=registry)
        self._issued = prometheus.Counter(
            "citadel_server_success_cert_issuance_count", "Certificates issued.", registry=registry
        )
        self._refused = prometheus.Counter(
            "citadel_server_authentication_failure_count", "Callers refused.", registry=registry
        )
        self._expiry = prometheus.Gauge(
            "citadel_server_root_cert_expiry_timestamp", "When the CA expires, in Unix seconds.", registry=registry
        )

    def requested(self) -> None:
        """A signing request came."""
        self._requests.inc()

    def issued(self) -> None:
        """A certificate went out."""
        self._issued.inc()

    def refused(self, _reason: str) -> None:
        """A caller was refused."""
        self._refused.inc()

    def authority(self, authority: Authority) -> None:
        """When it ends."""
        ends = [authority.certificate, *authority.trust.certificates]
        self._expiry.set(min(each.not_valid_after_utc.timestamp() for each in ends))

    def published(self, mesh: Mesh, *, changed: int, problems: int, seconds: float) -> None:
        """A mesh was published."""
        self._pushed.inc(changed)
        self._problems.set(problems)
        self.build_seconds.observe(seconds)
        for kind, objects in (("workload", mesh.workloads), ("service", mesh.services), ("policy", mesh.policies)):
            self._objects.labels(kind).set(len(objects))

    def failed(self) -> None:
        """A build failed."""
        self._failures.inc()

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return prometheus.generate_latest(self.registry)
