"""`sidestep`: the commands, and what their errors become."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from sidestep.local.errors import ExitCode, LocalError

if TYPE_CHECKING:
    import typer

INTERNAL = ("controller", "node", "dns")
"""Processes that `up` starts; each is a function of that name in a module of that name.

They do without typer: loading it takes a good part of their start, and a node waits for them.
"""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and end the process with its exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(run(arguments))


def run(arguments: Sequence[str]) -> int:
    """Run one command; errors become one sentence and a sysexits code, never a traceback."""
    try:
        return _run(arguments)
    except BrokenPipeError:
        # whoever read our output has gone, as `head` does; Python would complain once more at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILURE
    except (LocalError, OSError) as error:
        message, code = explain(error)
        for line in message.splitlines():
            sys.stderr.write(f"sidestep: {line}\n")
        return code


def build(first: str = "") -> typer.Typer:
    """The commands that a person uses; with the command `first` alone if there is one of that name."""
    from sidestep.cli import application

    return application.build(first)


def explain(error: LocalError | OSError) -> tuple[str, int]:
    """What to say, and the exit code."""
    match error:
        case LocalError():
            return str(error), error.code
        case PermissionError():
            return f"no permission for {error.filename}: run as root", ExitCode.NO_PERMISSION
        case _:
            subject = f"{error.filename}: " if error.filename else ""
            return f"{subject}{error.strerror or error}", ExitCode.OS_ERROR


def _run(arguments: Sequence[str]) -> int:
    first = arguments[0] if arguments else ""
    if first in INTERNAL:
        getattr(importlib.import_module(f"sidestep.cli.{first}"), first)(arguments[1:])
        return ExitCode.OK
    from sidestep.cli.application import invoke

    return invoke(build(next((argument for argument in arguments if not argument.startswith("-")), "")), arguments)
