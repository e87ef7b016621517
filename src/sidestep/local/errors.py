"""Errors of the local runtime: one clear sentence and a sysexits code each."""

from __future__ import annotations

import enum


class ExitCode(enum.IntEnum):
    """The codes of `sysexits.h` that the command line uses."""

    OK = 0
    FAILURE = 1
    USAGE = 64
    BAD_DATA = 65
    NO_INPUT = 66
    UNAVAILABLE = 69
    SOFTWARE = 70
    OS_ERROR = 71
    CANNOT_CREATE = 73
    NO_PERMISSION = 77
    INTERRUPTED = 130


class LocalError(Exception):
    """Something that a person can mend; its text is one sentence that says what and how."""

    code = ExitCode.FAILURE


class UsageError(LocalError):
    """The command does not make sense."""

    code = ExitCode.USAGE


class BadDataError(LocalError):
    """A manifest or a state file is wrong."""

    code = ExitCode.BAD_DATA


class NoInputError(LocalError):
    """A file or resource that was named does not exist."""

    code = ExitCode.NO_INPUT


class UnavailableError(LocalError):
    """Something that must run does not, or did not become ready in time."""

    code = ExitCode.UNAVAILABLE


class OperatingSystemError(LocalError):
    """The kernel refuses what the runtime needs."""

    code = ExitCode.OS_ERROR


class NoPermissionError(LocalError):
    """Not root, or not Linux."""

    code = ExitCode.NO_PERMISSION


class InterruptedCommandError(LocalError):
    """Ctrl-C."""

    code = ExitCode.INTERRUPTED


def error_of(code: int, text: str) -> LocalError:
    """The error that another process reported by its exit code."""
    kinds = (UsageError, BadDataError, NoInputError, UnavailableError, OperatingSystemError, NoPermissionError)
    return next((kind for kind in kinds if kind.code == code), LocalError)(text)
