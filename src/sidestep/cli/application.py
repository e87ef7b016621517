"""The commands that a person uses, as an application of typer."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import typer
from typer.exceptions import Abort, TyperException

from sidestep.local.errors import ExitCode, InterruptedCommandError, UsageError

_COMMANDS = {
    "up": "lifecycle",
    "down": "lifecycle",
    "apply": "resources",
    "delete": "resources",
    "get": "resources",
    "exec": "pods",
    "logs": "pods",
    "status": "inspect",
    "restart": "lifecycle",
    "demo": "demo",
    "version": "inspect",
}
"""In the order of the help; each is a function of that name in that module."""
_FUNCTIONS = {"exec": "execute"}
NAMES = frozenset(_COMMANDS)


def invoke(application: typer.Typer, arguments: Sequence[str]) -> int:
    """Run a command; its exit code. Raises LocalError, also for what typer complains about."""
    try:
        code = application(args=list(arguments), prog_name="sidestep", standalone_mode=False)
    except Abort as error:
        raise InterruptedCommandError("interrupted") from error
    except TyperException as error:
        message = error.format_message().rstrip(".")
        if not message:  # no command was named, and the help is shown already
            return ExitCode.USAGE
        raise UsageError(f"{message}; see `{_command_of(error)} --help`") from error
    return int(code) if isinstance(code, int) else ExitCode.OK


def build(first: str = "") -> typer.Typer:
    """The application, with the command `first` alone if there is one of that name.

    Importing the others and typer's work on each of their options would take longer than the command does.
    """
    application = typer.Typer(
        name="sidestep",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    # with one command alone typer would not expect its name
    application.callback()(_group)
    for name in (first,) if first in NAMES else _COMMANDS:
        module = importlib.import_module(f"sidestep.cli.{_COMMANDS[name]}")
        application.command(name)(getattr(module, _FUNCTIONS.get(name, name)))
    return application


def _group() -> None:
    """A service mesh without sidecars: Istio ambient mode in Python, on an unmodified Envoy."""


def _command_of(error: TyperException) -> str:
    context = getattr(error, "ctx", None)
    return str(context.command_path) if context is not None else "sidestep"
