"""Whose folder is it? Only one that was empty when it was claimed is ever emptied by `down`."""

from __future__ import annotations

from sidestep.local.errors import UsageError
from sidestep.local.layout import Layout

_MARKER = ".sidestep"


def claim(layout: Layout) -> None:
    """Make the state folder, or refuse one that holds somebody else's files."""
    folder = layout.state_dir
    marker = folder / _MARKER
    if folder.exists() and not marker.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"{folder} is not empty and not a state folder: `sidestep down` would delete what is in it; "
            "name another one with --state-dir"
        )
    folder.mkdir(parents=True, exist_ok=True)
    marker.touch()


def is_claimed(layout: Layout) -> bool:
    """True if the folder is a state folder."""
    return (layout.state_dir / _MARKER).exists()


def release(layout: Layout) -> None:
    """It is somebody else's again."""
    (layout.state_dir / _MARKER).unlink(missing_ok=True)
