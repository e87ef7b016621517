"""`sidestep dns`: the node's DNS server as a process. The node agent starts it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sidestep.cli.log import log_to_standard_error
from sidestep.local.errors import UsageError


def dns(
    *,
    node: Annotated[str, typer.Option(help="The node's name.")],
    xds_socket: Annotated[Path, typer.Option(help="The Unix socket where the node's agent serves xDS.")],
    domain: Annotated[str, typer.Option(help="The cluster's DNS domain.")] = "cluster.local",
    metrics_port: Annotated[int, typer.Option(help="Metrics on loopback, 0 for none.")] = 0,
    debug: Annotated[bool, typer.Option(help="Log each query that fails.")] = False,
) -> None:
    """Answer the pods of a node for names of the mesh, forward all others."""
    import asyncio

    from sidestep.node.dns.runner import DnsOptions, check, run_dns

    log_to_standard_error(debug=debug)
    options = DnsOptions(node=node, xds_socket=xds_socket, domain=domain.strip(".").lower(), metrics_port=metrics_port)
    try:
        check(options)
    except ValueError as error:
        raise UsageError(str(error)) from error
    asyncio.run(run_dns(options))
