"""Log files: kept below a size, read and followed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

MAXIMUM_BYTES = 20 * 1024 * 1024
_POLL = 0.1
_CHUNK = 64 * 1024


def bound(folder: Path, maximum: int = MAXIMUM_BYTES) -> None:
    """Halve every log that outgrew `maximum`: its end goes to `x.log.1`, and the file starts anew.

    Writers append (O_APPEND), so cutting the file under them is safe; lines written between copying and cutting are
    lost.
    """
    for path in folder.rglob("*.log"):
        size = path.stat().st_size
        if size > maximum:
            with path.open("rb") as file:
                file.seek(size - maximum // 2)
                path.with_suffix(".log.1").write_bytes(file.read())
            with path.open("r+b") as file:
                file.truncate(0)


def read(path: Path) -> Iterator[bytes]:
    """What the file holds now; nothing if it does not exist."""
    if path.exists():
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk


def last_line(path: Path) -> str:
    """The last line that says something; what a process wrote when it gave up."""
    lines = b"".join(read(path))[-_CHUNK:].decode(errors="replace").splitlines()
    return next((line for line in reversed(lines) if line.strip()), f"it wrote nothing to {path}")


def follow(path: Path, *, wait: Callable[[float], None] = time.sleep) -> Iterator[bytes]:
    """What the file holds, then what is added to it, for ever; an empty chunk for each look without news."""
    position = 0
    while True:
        if path.exists():
            size = path.stat().st_size
            if size < position:
                position = 0
            if size > position:
                with path.open("rb") as file:
                    file.seek(position)
                    chunk = file.read(_CHUNK)
                    position += len(chunk)
                yield chunk
                continue
        yield b""
        wait(_POLL)
