"""`sidestep dns`: the node's DNS server as a process. The node agent starts it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sidestep.cli.log import log_to_standard_error
from sidestep.cli.options import Options
from sidestep.local.errors import UsageError


def dns(arguments: Sequence[str]) -> None:
    """Answer the pods of a node for names of the mesh, forward all others."""
    given = _options().parse_args(arguments)

    import asyncio

    from sidestep.node.dns.runner import DnsOptions, check, run_dns

    log_to_standard_error(debug=given.debug)
    options = DnsOptions(
        node=given.node,
        xds_socket=given.xds_socket,
        domain=given.domain.strip(".").lower(),
        metrics_port=given.metrics_port,
    )
    try:
        check(options)
    except ValueError as error:
        raise UsageError(str(error)) from error
    asyncio.run(run_dns(options))


def _options() -> Options:
    options = Options("dns", "Answer the pods of a node for names of the mesh, forward all others.")
    options.add_argument("--node", required=True, help="the node's name")
    options.add_argument("--xds-socket", type=Path, required=True, help="where the node's agent serves xDS")
    options.add_argument("--domain", default="cluster.local", help="the cluster's DNS domain")
    options.add_argument("--metrics-port", type=int, default=0, help="metrics on loopback, 0 for none")
    options.add_argument("--debug", action="store_true", help="log each query that fails")
    return options
