"""`sidestep node`: the agent of one node."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sidestep.cli.log import log_to_standard_error
from sidestep.local.errors import UsageError


def node(
    name: Annotated[str, typer.Option(help="Name of the node.")],
    state_dir: Annotated[Path, typer.Option(help="The agent's own folder.")],
    controller: Annotated[str, typer.Option(help="host:port of the controller (mTLS).")],
    join: Annotated[str, typer.Option(help="host:port where nodes join.")],
    root_certificate: Annotated[Path, typer.Option(help="PEM file with the mesh's root.")],
    token_file: Annotated[Path, typer.Option(help="File with this node's join token.")],
    mesh_cidr: Annotated[list[str], typer.Option(help="Range of pods or services; may be repeated.")],
    outside: Annotated[list[str] | None, typer.Option(help="Address in those ranges that is no pod.")] = None,
    dns_address: Annotated[str, typer.Option(help="Where to serve the node's cluster DNS.")] = "",
    upstream_dns: Annotated[list[str] | None, typer.Option(help="Resolver for other names.")] = None,
    trust_domain: Annotated[str, typer.Option()] = "cluster.local",
    cluster_id: Annotated[str, typer.Option()] = "Kubernetes",
    domain: Annotated[str, typer.Option(help="DNS domain of services.")] = "cluster.local",
    region: Annotated[str, typer.Option()] = "",
    zone: Annotated[str, typer.Option()] = "",
    force_hbone: Annotated[bool, typer.Option(help="Encrypt same-node traffic, too.")] = False,
    concurrency: Annotated[int, typer.Option(min=1, help="Envoy's worker threads.")] = 2,
    certificate_lifetime: Annotated[str, typer.Option(help="How long certificates live, e.g. 24h.")] = "24h",
    metrics_address: Annotated[str, typer.Option()] = "127.0.0.1",
    metrics_port: Annotated[int, typer.Option()] = 15020,
) -> None:
    """Run the agent of one node: it enrols pods, holds their keys, and runs the node's Envoy."""
    import asyncio

    from sidestep.identity.core_dumps import forbid_core_dumps
    from sidestep.identity.duration import parse_duration
    from sidestep.node.options import NodeOptions
    from sidestep.node.runner import run_node

    try:
        lifetime = parse_duration(certificate_lifetime)
    except ValueError as error:
        raise UsageError(f"--certificate-lifetime: {error}") from error
    log_to_standard_error()
    forbid_core_dumps()
    options = NodeOptions(
        name=name,
        state_dir=state_dir,
        controller=controller,
        join=join,
        root_certificate=root_certificate,
        token_file=token_file,
        mesh_cidr=tuple(mesh_cidr),
        outside=tuple(outside or ()),
        dns_address=dns_address,
        upstream_dns=tuple(upstream_dns or ()),
        trust_domain=trust_domain,
        cluster_id=cluster_id,
        domain=domain,
        region=region,
        zone=zone,
        force_hbone=force_hbone,
        concurrency=concurrency,
        certificate_lifetime=lifetime,
        metrics_address=metrics_address,
        metrics_port=metrics_port,
    )
    asyncio.run(run_node(options))
