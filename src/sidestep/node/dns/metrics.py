"""Counters of the DNS server, with the names that Istio's ztunnel gives them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram


class DnsMetrics:
    """All metrics of one DNS server; nothing is labelled by name or pod, so their number is fixed."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("istio_dns_requests", "Queries of pods.", registry=self.registry)
        self.dropped = Counter(
            "sidestep_dns_dropped", "Queries that got no answer: not DNS, or too many at once.", registry=self.registry
        )
        self.upstream_requests = Counter(
            "istio_dns_upstream_requests", "Queries forwarded to a pod's resolvers.", registry=self.registry
        )
        self.upstream_failures = Counter(
            "istio_dns_upstream_failures", "Forwarded queries that no resolver answered.", registry=self.registry
        )
        self.upstream_seconds = Histogram(
            "istio_dns_upstream_request_duration_seconds",
            "Time until a resolver answered.",
            registry=self.registry,
        )
