"""Which Envoys a supervisor has running, on disk: what its successor adopts."""

from __future__ import annotations

import secrets
from pathlib import Path

import msgspec
import structlog

_log = structlog.get_logger(__name__)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One Envoy process."""

    pid: int
    started: int
    """Clock ticks since boot: with the pid, its identity."""
    base_id: int
    epoch: int
    replaced_at: float | None = None
    """When another took over from it, in seconds since 1970. None: it serves, or is about to."""
    live: bool = False
    """True once it was seen to serve."""
    successor: bool = False
    """True: it is to take over from the serving one, and has not yet."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """All living Envoys of a folder."""

    records: tuple[Record, ...] = ()


class StateFile:
    """Loads and saves the state; a crash at any moment leaves the one or the other version."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> State:
        """The saved state; an empty one if there is none or it does not parse."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=State)
        except FileNotFoundError:
            return State()
        except msgspec.DecodeError as error:
            # processes it named are found by their command lines
            _log.warning("envoy state is unreadable", path=str(self._path), error=str(error))
            return State()

    def save(self, state: State) -> None:
        """Replace the saved state; an empty one removes the file."""
        if not state.records:
            self._path.unlink(missing_ok=True)
            return
        temporary = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}")
        # no fsync: what is lost with the machine's power has no process left either
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(state), indent=1))
        temporary.replace(self._path)
