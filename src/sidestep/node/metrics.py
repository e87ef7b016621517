"""The agent's pages: `/metrics` (its own and its Envoy's), `/healthz/live` and `/healthz/ready`."""

from __future__ import annotations

from collections.abc import Iterator

import structlog
import uvicorn
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sidestep.envoy.admin import AdminClient
from sidestep.envoy.errors import AdminError
from sidestep.node.status import StatusSource

_log = structlog.get_logger()


class _NodeCollector(Collector):
    """Reads the status at each scrape, so that nothing is counted twice."""

    def __init__(self, status: StatusSource) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        status = self._status()
        for name, text, value in (
            ("sidestep_node_ready", "1 when the node serves its pods", float(status.ready)),
            ("sidestep_node_controller_connected", "1 while the controller is followed", status.controller_connected),
            ("sidestep_node_pods", "Pods of the node that belong to the mesh", len(status.pods)),
            ("sidestep_node_rejections", "Configurations that Envoy refused", len(status.rejections)),
            ("sidestep_node_envoys", "Living Envoys, draining ones included", len(status.envoys)),
            (
                "sidestep_node_draining_connections",
                "Connections that replaced Envoys still hold",
                sum(each.connections for each in status.envoys if each.draining),
            ),
        ):
            yield GaugeMetricFamily(name, text, value=float(value))


def application(status: StatusSource, envoy: AdminClient | None = None) -> Starlette:
    """The pages, as an ASGI application. `envoy` answers at a Unix socket alone, where no Prometheus can ask it."""
    registry = CollectorRegistry()
    registry.register(_NodeCollector(status))

    async def metrics(_: Request) -> Response:
        text = generate_latest(registry)
        if envoy is not None:
            try:
                text += await envoy.prometheus()
            except AdminError as error:
                # it may just be replaced; the agent's own metrics say how many Envoys there are
                _log.warning("metrics.envoy_silent", reason=str(error))
        return PlainTextResponse(text)

    async def live(_: Request) -> Response:
        return PlainTextResponse("live\n")

    async def ready(_: Request) -> Response:
        now = status()
        return JSONResponse({"ready": now.ready, "reason": now.reason}, status_code=200 if now.ready else 503)

    routes = [
        Route("/metrics", metrics),
        Route("/stats/prometheus", metrics),
        Route("/healthz/live", live),
        Route("/healthz/ready", ready),
    ]
    return Starlette(routes=routes)


async def serve_metrics(status: StatusSource, address: str, port: int, envoy: AdminClient | None = None) -> None:
    """Serves the pages until cancelled."""
    config = uvicorn.Config(application(status, envoy), host=address, port=port, log_level="error", access_log=False)
    server = uvicorn.Server(config)
    # uvicorn would take the process's signals for itself
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    await server._serve()  # noqa: SLF001 - `serve` captures signals
