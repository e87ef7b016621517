"""Whose folder is it? `down` deletes only in a folder that held nothing of those names when it was claimed."""

from __future__ import annotations

from sidestep.local.errors import UsageError
from sidestep.local.layout import Layout

_MARKER = ".sidestep"
CONTENTS = ("instance.json", "controller", "join-tokens", "nodes", "pods", "run", "logs", "resources")
"""What is made in a state folder."""


def claim(layout: Layout) -> None:
    """Make the state folder, or refuse one that holds somebody else's files."""
    folder = layout.state_dir
    marker = folder / _MARKER
    strangers = [] if marker.exists() else [name for name in CONTENTS if (folder / name).exists()]
    if strangers:
        raise UsageError(
            f"{folder} is not a state folder, and `sidestep down` would delete {', '.join(strangers)} in it; "
            "name another one with --state-dir"
        )
    folder.mkdir(parents=True, exist_ok=True)
    # logs name who talks to whom, and tokens let nodes join: nobody else's business
    folder.chmod(0o700)
    marker.touch()


def is_claimed(layout: Layout) -> bool:
    """True if the folder is a state folder."""
    return (layout.state_dir / _MARKER).exists()


def release(layout: Layout) -> None:
    """It is somebody else's again."""
    (layout.state_dir / _MARKER).unlink(missing_ok=True)
