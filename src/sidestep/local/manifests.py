"""Manifests that a person names on the command line."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

from sidestep.api.parse import Parsed, Problem, parse_documents
from sidestep.local.errors import BadDataError, NoInputError

_SUFFIXES = (".yaml", ".yml", ".json")
_STANDARD_INPUT = "-"


class Manifests(msgspec.Struct, frozen=True, kw_only=True):
    """What the files hold."""

    resources: tuple[Parsed, ...]
    ignored: tuple[Problem, ...]
    """Documents of kinds that mean nothing here."""


def read_manifests(paths: Iterable[Path]) -> Manifests:
    """Read files, the files of folders (not of folders in them, as kubectl does) and `-`; all must be right."""
    resources: list[Parsed] = []
    ignored: list[Problem] = []
    errors: list[Problem] = []
    for name, text in _texts(paths):
        result = parse_documents(text, file=name)
        resources += result.resources
        errors += (problem for problem in result.problems if problem.severity == "error")
        ignored += (problem for problem in result.problems if problem.severity != "error")
    if errors:
        raise BadDataError("\n".join(describe(problem) for problem in errors))
    return Manifests(resources=tuple(resources), ignored=tuple(ignored))


def describe(problem: Problem) -> str:
    """One line: where, which field, why."""
    field = f"{problem.field}: " if problem.field and not problem.message.startswith(problem.field) else ""
    return f"{problem.file}:{problem.line}: {field}{problem.message}"


def _texts(paths: Iterable[Path]) -> Iterable[tuple[str, str]]:
    for path in paths:
        if str(path) == _STANDARD_INPUT:
            yield "standard input", sys.stdin.read()
        elif path.is_dir():
            files = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES and file.is_file())
            if not files:
                raise NoInputError(f"{path} has no file that ends in {', '.join(_SUFFIXES)}")
            for file in files:
                yield str(file), _text(file)
        else:
            yield str(path), _text(path)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NoInputError(f"{path} does not exist") from error
    except UnicodeDecodeError as error:
        raise BadDataError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from error
    except OSError as error:
        raise NoInputError(f"cannot read {path}: {error.strerror}") from error
