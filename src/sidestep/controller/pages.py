"""Health, metrics and status over HTTP."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator

import prometheus_client
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sidestep.controller.metrics import ControllerMetrics
from sidestep.controller.status import StatusBoard


def application(metrics: ControllerMetrics, board: StatusBoard, not_ready: Callable[[], str]) -> Starlette:
    """The pages. `not_ready` says what is still missing, or nothing."""

    async def metrics_page(_request: Request) -> Response:
        return Response(metrics.text(), media_type=prometheus_client.CONTENT_TYPE_LATEST)

    async def status_page(_request: Request) -> Response:
        return Response(board.json(), media_type="application/json")

    async def live_page(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready_page(_request: Request) -> Response:
        reason = not_ready()
        return PlainTextResponse(f"{reason or 'ok'}\n", status_code=503 if reason else 200)

    return Starlette(
        routes=[
            Route("/metrics", metrics_page),
            Route("/status", status_page),
            Route("/healthz/live", live_page),
            Route("/healthz/ready", ready_page),
        ]
    )


class PageServer(uvicorn.Server):
    """Serves in the caller's event loop, which also keeps the signals."""

    def __init__(self, app: Starlette) -> None:
        super().__init__(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none", loop="none"))

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the runner's."""
        yield


def listen(address: str, port: int) -> socket.socket:
    """A listening socket; raises `OSError` when the port is taken."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.create_server((address, port), family=family, reuse_port=False)
    listener.setblocking(False)
    return listener
