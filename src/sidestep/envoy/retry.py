"""How long to wait before a crashed Envoy is started again. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Retry:
    """At once after a first crash, then `first` seconds, doubled each time up to `maximum`."""

    first: float = 0.2
    maximum: float = 5.0
    good_seconds: float = 10.0
    """Whoever lived that long starts with a clean slate."""
    failures: int = 0

    @property
    def seconds(self) -> float:
        """The wait that is due now."""
        if self.failures <= 1:
            return 0.0
        # the exponent is bounded: a float overflows long before anybody has waited that often
        return min(self.maximum, self.first * 2.0 ** min(self.failures - 2, 30))

    def after_failure(self, *, alive: float) -> Retry:
        """The next state, when what was tried lived for `alive` seconds."""
        failures = 1 if alive >= self.good_seconds else self.failures + 1
        return Retry(first=self.first, maximum=self.maximum, good_seconds=self.good_seconds, failures=failures)
