"""`sidestep`: the commands, and what their errors become."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import typer
from typer.exceptions import Abort, TyperException

from sidestep.cli import commands
from sidestep.local.errors import ExitCode, LocalError

_INTERNAL = ("controller", "node", "dns")
"""Commands that other commands start; each is in a module of its name with a function of its name."""
_INTERRUPTED = 130
_SEPARATE = (*_INTERNAL, "demo")


def build(first: str = "") -> typer.Typer:
    """The application. `first` is the command that is going to be run: only its module is imported."""
    app = typer.Typer(
        name="sidestep",
        help="A service mesh without sidecars: Istio ambient mode in Python, on an unmodified Envoy.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    commands.register(app)
    for name in _SEPARATE:
        if first == name or (name not in _INTERNAL and first not in commands.NAMES):
            _register(app, name)
    return app


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and end the process with its exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(run(arguments))


def run(arguments: Sequence[str]) -> int:
    """Run one command; errors become one sentence and a sysexits code, never a traceback."""
    app = build(next((a for a in arguments if not a.startswith("-")), ""))
    try:
        code = app(args=list(arguments), prog_name="sidestep", standalone_mode=False)
    except BrokenPipeError:
        # whoever read our output has gone, as `head` does; Python would complain once more at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILURE
    except (LocalError, TyperException, Abort, OSError) as error:
        message, code = explain(error)
        for line in message.splitlines():
            sys.stderr.write(f"sidestep: {line}\n")
    return int(code) if isinstance(code, int) else ExitCode.OK


def explain(error: LocalError | TyperException | Abort | OSError) -> tuple[str, int]:
    """What to say, and the exit code."""
    match error:
        case LocalError():
            return str(error), error.code
        case TyperException():
            return f"{error.format_message().rstrip('.')}; see `sidestep --help`", ExitCode.USAGE
        case Abort():
            return "interrupted", _INTERRUPTED
        case PermissionError():
            return f"no permission for {error.filename}: run as root", ExitCode.NO_PERMISSION
        case _:
            subject = f"{error.filename}: " if error.filename else ""
            return f"{subject}{error.strerror or error}", ExitCode.OS_ERROR


def _register(app: typer.Typer, name: str) -> None:
    """A command in a module of its own; a build without that module lacks the command."""
    module_name = f"sidestep.cli.{name}"
    if importlib.util.find_spec(module_name) is None:
        return
    module = importlib.import_module(module_name)
    if hasattr(module, "register"):
        module.register(app)
    else:
        app.command(name, hidden=name in _INTERNAL)(getattr(module, name))
