"""`demo`: the sample shop on two nodes, and what the mesh does for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sidestep.local.layout import STATE_DIR_VARIABLE

_STATE_DIR = Path("/var/lib/sidestep-demo")
"""Not the default of the other commands: the demo must not touch a mesh that is there already."""


def demo(
    check: Annotated[
        bool, typer.Option("--check", help="Show everything, then end: exit code 0 if all is as it should be, else 1.")
    ] = False,
    captures: Annotated[
        Path | None, typer.Option(help="A folder to keep what was heard between the nodes in, as pcap files.")
    ] = None,
    state_dir: Annotated[
        Path, typer.Option("--state-dir", envvar=STATE_DIR_VARIABLE, help="An empty folder for the demo's own mesh.")
    ] = _STATE_DIR,
) -> None:
    """Run a shop of five services on two nodes, show who talks to whom, and prove that nobody can listen."""
    from sidestep.demo.runner import DemoOptions, run
    from sidestep.local.requirements import check as check_host

    check_host()
    good = run(DemoOptions(state_dir=state_dir.resolve(), check=check, captures=captures))
    if not good:
        raise typer.Exit(1)
