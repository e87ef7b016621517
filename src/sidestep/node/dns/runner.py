"""The DNS server as a process: fed by the node's agent, and going on without it."""

from __future__ import annotations

import asyncio
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc.aio
import msgspec
import structlog
from prometheus_client import start_http_server

from sidestep.node.dns.captures import Captures
from sidestep.node.dns.directory import Directory
from sidestep.node.dns.feed import Feed
from sidestep.node.dns.metrics import DnsMetrics
from sidestep.wire import agent, istio
from sidestep.wire import envoy as pb
from sidestep.xds.client import WILDCARD, DeltaClient

LONGEST_SOCKET_PATH = 107
"""Bytes that fit into a Unix socket's address, less the final zero."""

CLUSTER = "sidestep-dns"
"""By this, in the xDS node, the agent tells the DNS server from the node proxy."""

_log = structlog.get_logger()


class DnsOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the DNS server is told at its start."""

    node: str
    xds_socket: Path
    """Where the node's agent serves xDS."""
    domain: str = "cluster.local"
    """The cluster's DNS domain."""
    metrics_port: int = 0
    """Loopback port for Prometheus; 0: none."""


def check(options: DnsOptions) -> None:
    """ValueError when the options cannot work; the message says why and what would."""
    length = len(bytes(options.xds_socket))
    if length > LONGEST_SOCKET_PATH:
        raise ValueError(
            f"{options.xds_socket} is {length} bytes long, a Unix socket takes {LONGEST_SOCKET_PATH}: "
            "use a shorter state folder"
        )


async def run_dns(options: DnsOptions) -> None:
    """Serves until SIGTERM or SIGINT."""
    check(options)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    _allow_many_files()
    metrics = DnsMetrics()
    directory = Directory()
    with _exposed(metrics, options.metrics_port):
        async with asyncio.TaskGroup() as group:
            captures = Captures(directory, group, domain=options.domain, metrics=metrics)
            client = DeltaClient(
                lambda: grpc.aio.insecure_channel(f"unix:{options.xds_socket}"),
                pb.Node(id=options.node, cluster=CLUSTER),
                {istio.ADDRESS: WILDCARD, agent.POD_CAPTURE: WILDCARD},
                Feed(directory, captures),
            )
            running = group.create_task(client.run())
            _log.info("dns.started", node=options.node)
            await stopped.wait()
            running.cancel()
            await captures.close()
    _log.info("dns.stopped", node=options.node)


def _allow_many_files() -> None:
    """Each pod has listeners, each forwarded query a socket: the usual limit of 1024 is soon reached."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextmanager
def _exposed(metrics: DnsMetrics, port: int) -> Iterator[None]:
    """Serves the metrics on loopback. DNS matters more than its numbers: a taken port is said, and that is all."""
    if not port:
        yield
        return
    try:
        server, thread = start_http_server(port, addr="127.0.0.1", registry=metrics.registry)
    except OSError as error:
        _log.warning("dns.no_metrics", port=port, reason=str(error))
        yield
        return
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
