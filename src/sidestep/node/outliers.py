"""Passive outlier detection for endpoints behind the node proxy's internal listeners.

Envoy's own sees only whether the internal listener took the connection. What lies behind it, the tunnel or the
application, says its failures in a log of failures, which the agent follows: an endpoint that failed five times
within ten seconds rests for a while, longer each time, and never more than half of a service's endpoints rest.
"""

from __future__ import annotations

import asyncio
import collections
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO

import msgspec
import structlog

FAILURES = 5
WINDOW_SECONDS = 10.0
FIRST_REST_SECONDS = 10.0
LONGEST_REST_SECONDS = 120.0
_FORGIVEN_SECONDS = 300.0
_POLL_SECONDS = 0.2
_LARGEST_LOG = 1 << 20

_log = structlog.get_logger()


class _Line(msgspec.Struct):
    destination: str = ""


class OutlierDetector:
    """Which endpoints (`address:port`) rest. Time is in seconds of any clock that only goes forward."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: dict[str, collections.deque[float]] = {}
        self._until: dict[str, float] = {}
        self._rests: dict[str, tuple[int, float]] = {}

    def failed(self, endpoint: str) -> bool:
        """One more failed connection; True when the endpoint has to rest because of it."""
        now = self._clock()
        times = self._failures.setdefault(endpoint, collections.deque(maxlen=FAILURES))
        times.append(now)
        if endpoint in self._until or len(times) < FAILURES or now - times[0] > WINDOW_SECONDS:
            return False
        count, last = self._rests.get(endpoint, (0, now))
        count = 1 if now - last > _FORGIVEN_SECONDS else count + 1
        self._rests[endpoint] = (count, now)
        self._until[endpoint] = now + min(LONGEST_REST_SECONDS, FIRST_REST_SECONDS * 2 ** (count - 1))
        return True

    def rested(self) -> frozenset[str]:
        """Takes back those that have rested for long enough, and names them."""
        now = self._clock()
        over = frozenset(endpoint for endpoint, until in self._until.items() if until <= now)
        for endpoint in over:
            del self._until[endpoint]
            self._failures.pop(endpoint, None)
        for endpoint in [each for each, times in self._failures.items() if now - times[-1] > WINDOW_SECONDS]:
            if endpoint not in self._until:
                del self._failures[endpoint]
        return over

    @property
    def resting(self) -> frozenset[str]:
        """The endpoints that rest now."""
        return frozenset(self._until)


def parse_failures(text: str) -> Iterator[str]:
    """The endpoints in lines of the failure log; a line that is not whole is left out."""
    for line in text.splitlines():
        try:
            entry = msgspec.json.decode(line, type=_Line)
        except msgspec.DecodeError:
            continue
        if entry.destination:
            yield entry.destination


class FailureLog:
    """Follows the failure log, and tells `changed` of the endpoints whose rest begins or ends."""

    def __init__(self, path: Path, detector: OutlierDetector, changed: Callable[[Iterable[str]], None]) -> None:
        self._path = path
        self._detector = detector
        self._changed = changed

    async def run(self) -> None:
        """Until cancelled. Failures of before the start do not count."""
        self._path.touch(mode=0o600)
        with self._path.open("r", errors="replace") as log:
            log.seek(0, 2)
            rest = ""
            while True:
                await asyncio.sleep(_POLL_SECONDS)
                rest = self._follow(rest + log.read())
                self._shorten(log)
                over = self._detector.rested()
                if over:
                    self._changed(over)

    def _follow(self, text: str) -> str:
        """Counts whole lines; gives back the beginning of the one that is being written."""
        whole, separator, rest = text.rpartition("\n")
        began = [endpoint for endpoint in parse_failures(whole + separator) if self._detector.failed(endpoint)]
        if began:
            _log.warning("endpoint.rests", endpoints=began)
            self._changed(began)
        return rest

    def _shorten(self, log: IO[str]) -> None:
        """Envoy appends, so that what is truncated does not come back."""
        if log.tell() > _LARGEST_LOG:
            self._path.write_bytes(b"")
            log.seek(0)
