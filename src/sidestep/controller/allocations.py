"""Virtual addresses that were handed out, kept so that a restarted controller hands out the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import structlog

from sidestep.identity.files import write_atomically

_log = structlog.get_logger(__name__)


class AllocationFile:
    """A JSON object: key of the build → address. Blocking."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._saved: Mapping[str, str] = {}

    def load(self) -> Mapping[str, str]:
        """What was saved; nothing for a missing file. A broken file is set aside: addresses are given anew."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return {}
        try:
            self._saved = msgspec.json.decode(content, type=dict[str, str])
        except msgspec.DecodeError as error:
            aside = self._path.with_suffix(".broken")
            _log.exception("allocations_broken", file=str(self._path), kept_as=str(aside), reason=str(error))
            self._path.replace(aside)
            self._saved = {}
        return self._saved

    def save(self, allocations: Mapping[str, str]) -> None:
        """Write them if they differ from what the file has."""
        if allocations == self._saved:
            return
        kept = dict(sorted(allocations.items()))
        write_atomically(self._path, msgspec.json.format(msgspec.json.encode(kept), indent=2))
        self._saved = kept
