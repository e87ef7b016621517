"""The controller: reads resources, serves the mesh to node agents, signs their certificates."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Any, TypeVar

import grpc
import grpc.aio
import structlog

from sidestep.controller.allocations import AllocationFile
from sidestep.controller.certificates import CertificateService, Issuer, Placement
from sidestep.controller.credentials import ServerCredentials
from sidestep.controller.join import JoinService, JoinTokens
from sidestep.controller.metrics import ControllerMetrics
from sidestep.controller.options import ControllerOptions, endpoint
from sidestep.controller.pages import PageServer, application, listen
from sidestep.controller.reconcile import Reconciler
from sidestep.controller.status import StatusBoard
from sidestep.controller.streams import NodeStreams
from sidestep.identity.authority import Authority
from sidestep.identity.files import write_atomically
from sidestep.source.folder import FolderSource
from sidestep.xds.cache import Cache

_log = structlog.get_logger(__name__)

_T = TypeVar("_T")
_SAVE_EVERY = 1.0
_GRACE = 0.3
_OPTIONS = (
    ("grpc.so_reuseport", 0),  # a second controller on the port is a mistake, not a helper
    ("grpc.max_receive_message_length", 16 << 20),
    ("grpc.max_connection_age_ms", 30 * 60 * 1000),  # a node comes back with its renewed certificate
    ("grpc.max_connection_age_grace_ms", 5000),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
)
_JOIN_OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 64 << 10),  # strangers speak here
    ("grpc.max_connection_age_ms", 60_000),
)


class AddressInUseError(Exception):
    """A port cannot be listened on."""


class Controller:
    """One controller process. Make it with `start`, then `run`."""

    def __init__(self, options: ControllerOptions, authority: Authority) -> None:
        self._options = options
        self._metrics = ControllerMetrics()
        self._metrics.authority(authority)
        self._board = StatusBoard(options.own_folder / "status.json")
        self._cache = Cache()
        self._placement = Placement()
        self._credentials = ServerCredentials(authority, options.certificate_lifetime)
        self._issuer = Issuer(authority, options.certificate_lifetime, self._metrics)
        self._reconciler = Reconciler(
            settings=options.settings,
            cache=self._cache,
            placement=self._placement,
            board=self._board,
            allocations=AllocationFile(options.own_folder / "allocations.json"),
            metrics=self._metrics,
        )

    @classmethod
    async def start(cls, options: ControllerOptions) -> Controller:
        """Prepare the state folder and the authority; raises `AuthorityError` or `OSError`."""
        return cls(options, await asyncio.to_thread(_prepare, options))

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set; raises `AddressInUseError`."""
        options = self._options
        pages = PageServer(application(self._metrics, self._board, self._not_ready))
        listener = _bound(lambda: listen(options.metrics_address, options.metrics_port), options.metrics_port)
        servers = [self._mesh_server(), self._join_server()]
        for server in servers:
            await server.start()
        _log.info("controller_listens", address=options.address, port=options.port, join_port=options.join_port)
        tasks = [
            asyncio.create_task(self._reconciler.run(FolderSource(options.resources).snapshots()), name="reconcile"),
            asyncio.create_task(self._credentials.run(), name="credentials"),
            asyncio.create_task(self._save_status(), name="status"),
            asyncio.create_task(pages.serve(sockets=[listener]), name="pages"),
            asyncio.create_task(stop.wait(), name="stop"),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            pages.should_exit = True
            await asyncio.gather(*(server.stop(_GRACE) for server in servers))
            await _end(tasks)
            await asyncio.to_thread(self._board.save)
        _log.info("controller_ended")

    def _mesh_server(self) -> grpc.aio.Server:
        """Mutual TLS; each service looks for a node in the client certificate."""
        options = self._options
        streams = NodeStreams(options.settings.trust_domain, self._board, self._metrics)
        handlers = (
            *streams.server(self._cache).handlers(),
            CertificateService(self._issuer, self._placement).handler(),
        )
        return self._listening(options.port, self._credentials.mutual(), handlers, _OPTIONS)

    def _join_server(self) -> grpc.aio.Server:
        """TLS with a token; joining is all there is."""
        service = JoinService(self._issuer, JoinTokens(self._options.join_tokens))
        credentials = self._credentials.server_only()
        return self._listening(self._options.join_port, credentials, (service.handler(),), _JOIN_OPTIONS)

    def _listening(
        self,
        port: int,
        credentials: grpc.ServerCredentials,
        handlers: tuple[grpc.GenericRpcHandler, ...],
        channel_options: tuple[tuple[str, Any], ...],
    ) -> grpc.aio.Server:
        server = grpc.aio.server(options=channel_options)
        server.add_generic_rpc_handlers(handlers)
        _bound(lambda: server.add_secure_port(endpoint(self._options.address, port), credentials), port)
        return server

    def _not_ready(self) -> str:
        return "" if self._reconciler.published.is_set() else "the resources have not been read yet"

    async def _save_status(self) -> None:
        """Rejections come at any time, and many together."""
        while True:
            await asyncio.sleep(_SAVE_EVERY)
            await asyncio.to_thread(self._board.save)


async def _end(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        if task.get_name() != "pages":  # the page server ends by itself, and complains when cancelled
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _bound(bind: Callable[[], _T], port: int) -> _T:
    try:
        return bind()
    except (OSError, RuntimeError) as error:
        raise AddressInUseError(f"cannot listen on port {port}: {error}") from error


def _prepare(options: ControllerOptions) -> Authority:
    """The authority, and its roots where nodes find them."""
    trust_domain = options.settings.trust_domain
    options.own_folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    if options.ca_folder is not None:
        authority = Authority.load(options.ca_folder, trust_domain)
    else:
        authority = Authority.load_or_create(options.own_folder / "ca", trust_domain)
    write_atomically(options.root_certificate, authority.trust.pem.encode())
    return authority


def run_controller(options: ControllerOptions) -> None:
    """Run until SIGTERM or SIGINT."""
    asyncio.run(_until_signalled(options))


async def _until_signalled(options: ControllerOptions) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    controller = await Controller.start(options)
    await controller.run(stop)
