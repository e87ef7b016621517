"""The commands that a person uses, by name."""

from __future__ import annotations

from collections.abc import Callable

import typer

from sidestep.cli import inspect, lifecycle, pods, resources

_COMMANDS: dict[str, Callable[..., None]] = {
    "up": lifecycle.up,
    "down": lifecycle.down,
    "apply": resources.apply,
    "delete": resources.delete,
    "get": resources.get,
    "exec": pods.execute,
    "logs": pods.logs,
    "status": inspect.status,
    "restart": lifecycle.restart,
    "version": inspect.version,
}
NAMES = frozenset(_COMMANDS)


def register(app: typer.Typer) -> None:
    """Add them all."""
    for name, function in _COMMANDS.items():
        app.command(name)(function)
