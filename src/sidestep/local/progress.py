"""What happens while the runtime starts, said once: written to a file, and shown by whoever waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

Kind = Literal["step", "count", "warning", "ready", "failed"]
"""A count replaces the one before it, where that can be shown."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One line of progress."""

    at: float
    """Seconds since the epoch."""
    kind: Kind
    text: str
    code: int = 0
    """Exit code, when the start failed."""


class Progress:
    """Appends events to a file and tells them to a listener."""

    def __init__(self, path: Path, *, listener: Callable[[Event], None]) -> None:
        self._path = path
        self._listener = listener
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")

    def step(self, text: str) -> None:
        self._say("step", text)

    def count(self, text: str, *, complete: bool) -> None:
        self._say("ready" if complete else "count", text)

    def warning(self, text: str) -> None:
        self._say("warning", text)

    def ready(self, text: str) -> None:
        self._say("ready", text)

    def failed(self, text: str, code: int) -> None:
        self._say("failed", text, code)

    def _say(self, kind: Kind, text: str, code: int = 0) -> None:
        event = Event(at=time.time(), kind=kind, text=text, code=code)
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(event) + b"\n")
        self._listener(event)


class ProgressReader:
    """Follows the file that another process writes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def new_events(self) -> tuple[Event, ...]:
        """Events since the last call; a line that is still being written is left for the next."""
        try:
            data = self._path.read_bytes()[self._offset :]
        except FileNotFoundError:
            return ()
        complete = data[: data.rfind(b"\n") + 1]
        self._offset += len(complete)
        return tuple(msgspec.json.decode(line, type=Event) for line in complete.splitlines())
