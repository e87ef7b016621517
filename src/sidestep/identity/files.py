"""Secrets in files: written so that nobody else can read them, refused when somebody else could."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from sidestep.identity.errors import AuthorityError

_LARGEST = 1 << 20


def read_secret(path: Path, *, what: str) -> bytes:
    """Read a private file: a regular file that neither its group nor the world may read or write.

    Mode and content are those of one open file, so nobody can swap it in between. Raises `AuthorityError`.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise AuthorityError(f"{what} {path} cannot be read: {error.strerror}") from error
    try:
        _check_private(os.fstat(descriptor), path, what)
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(_LARGEST)
    finally:
        os.close(descriptor)


def _check_private(status: os.stat_result, path: Path, what: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise AuthorityError(f"{what} {path} is not a regular file")
    if status.st_mode & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        raise AuthorityError(f"{what} {path} is open to other users (mode {mode:04o}): run chmod 600 {path}")
    if status.st_uid not in {os.geteuid(), 0}:
        raise AuthorityError(f"{what} {path} belongs to user {status.st_uid}: run chown {os.geteuid()} {path}")


def write_atomically(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write beside and rename, flushed to disk: readers see the old content or the new one, also after a crash."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
