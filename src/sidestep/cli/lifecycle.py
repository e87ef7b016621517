"""`up`, `down` and `restart`."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer

from sidestep.cli.arguments import STATE_DIR, StateDir, running
from sidestep.local.errors import UsageError
from sidestep.local.layout import Layout

_Files = Annotated[
    list[Path] | None,
    typer.Option("--file", "-f", help="A manifest, a folder of manifests, or - for standard input; may be repeated."),
]


def up(
    *,
    file: _Files = None,
    nodes: Annotated[
        int, typer.Option(help="How many nodes: network namespaces with an agent and an Envoy each, at most 64.")
    ] = 1,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return when it is up; `sidestep down` ends it.")
    ] = False,
    wait: Annotated[float | None, typer.Option(min=0, help="Wait so many seconds until all pods are ready.")] = None,
    trust_domain: Annotated[str, typer.Option(help="The first part of every identity.")] = "cluster.local",
    certificate_lifetime: Annotated[str, typer.Option(help="Of workloads' certificates, e.g. 24h or 90s.")] = "",
    force_hbone: Annotated[bool, typer.Option("--force-hbone", help="Encrypt between pods of one node, too.")] = False,
    ca_folder: Annotated[
        Path | None, typer.Option(help="A certificate authority to use: ca-cert.pem, ca-key.pem, root-cert.pem.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=0, max=128, help="Worker threads of each Envoy; 0: two.")] = 0,
    no_mesh: Annotated[bool, typer.Option("--no-mesh", help="Pods, network and Services without a mesh.")] = False,
    daemon: Annotated[bool, typer.Option("--daemon", hidden=True)] = False,
    state_dir: StateDir = STATE_DIR,
) -> None:
    """Bring up a mesh on this host, and keep it up until Ctrl-C (or `down`)."""
    from sidestep.cli import progress
    from sidestep.local import daemon as local_daemon
    from sidestep.local.manifests import read_manifests
    from sidestep.local.options import UpOptions
    from sidestep.local.requirements import check

    check()
    layout = Layout.of(state_dir)
    _check_trust_domain(trust_domain)
    # what is wrong is said before anything is made; what standard input holds only the runtime can read
    read_manifests(path for path in file or () if str(path) != "-")
    options = UpOptions(
        files=tuple(file or ()),
        nodes=nodes,
        mesh=not no_mesh,
        trust_domain=trust_domain,
        certificate_lifetime=_duration(certificate_lifetime) if certificate_lifetime else None,
        force_hbone=force_hbone,
        ca_folder=ca_folder.resolve() if ca_folder else None,
        concurrency=concurrency,
    )
    if daemon:
        local_daemon.run(layout, options, listener=progress.to_log)
        return
    with progress.shown() as listener:
        if detach:
            local_daemon.start_detached(layout, options, listener=listener, wait=wait)
        else:
            local_daemon.run_in_foreground(layout, options, listener=listener, wait=wait)


def _duration(text: str) -> dt.timedelta:
    from sidestep.identity.duration import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"--certificate-lifetime: {error}") from error


def _check_trust_domain(text: str) -> None:
    from sidestep.identity.spiffe import InvalidSpiffeIdError, SpiffeId

    try:
        SpiffeId.controller(text)
    except InvalidSpiffeIdError as error:
        raise UsageError(f"--trust-domain: {error}") from error


def down(
    keep: Annotated[bool, typer.Option("--keep", help="Keep the certificate authority and the resources.")] = False,
    state_dir: StateDir = STATE_DIR,
) -> None:
    """End everything and remove every trace, also after a crash. The state folder is emptied of what was made there."""
    from sidestep.cli import progress
    from sidestep.local.daemon import take_down
    from sidestep.local.requirements import check

    check()
    with progress.shown() as listener:
        take_down(Layout.of(state_dir), keep=keep, listener=listener)


def restart(
    node: Annotated[str, typer.Argument(help="A node, e.g. node-1.")],
    state_dir: StateDir = STATE_DIR,
) -> None:
    """Start a new Envoy on a node. The old one ends with its last connection; none is cut."""
    import asyncio

    from sidestep.local.agent_client import AgentClient
    from sidestep.local.errors import NoInputError

    layout, instance = running(state_dir)
    if node not in instance.nodes:
        raise NoInputError(f"there is no node {node!r}; the nodes are {', '.join(instance.nodes)}")

    async def call() -> tuple[int, int]:
        client = AgentClient(layout.agent_socket(node), node)
        try:
            answer = await client.restart()
        finally:
            await client.close()
        return answer.old.pid, answer.new.pid

    old, new = asyncio.run(call())
    typer.echo(f"{node}: Envoy {new} took over from {old}, which ends with its last connection")
