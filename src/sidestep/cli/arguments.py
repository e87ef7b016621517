"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from sidestep.local.errors import NoPermissionError, UnavailableError
from sidestep.local.instance import Instance, load
from sidestep.local.layout import DEFAULT_STATE_DIR, STATE_DIR_VARIABLE, Layout

StateDir = Annotated[
    Path,
    typer.Option(
        "--state-dir", envvar=STATE_DIR_VARIABLE, help="Where this mesh keeps all that it has.", show_default=True
    ),
]
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="The namespace to look in.")]
STATE_DIR = Path(DEFAULT_STATE_DIR)


def running(state_dir: Path) -> tuple[Layout, Instance]:
    """The layout and the instance, when the mesh of that folder is up."""
    from sidestep.local.runtime_lock import is_running

    layout = Layout.of(state_dir)
    instance = load(layout.instance_file)
    if instance is None or not is_running(layout):
        raise UnavailableError(f"no mesh is up with the state folder {layout.state_dir}; `sidestep up` starts one")
    if os.geteuid() != 0:
        raise NoPermissionError("only root may look into a mesh and its pods: run it as root")
    return layout, instance
