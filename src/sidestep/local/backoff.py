"""How long to wait before the next attempt. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """`first` seconds after a first failure, doubled each time up to `maximum`; forgotten after a good run."""

    first: float = 0.1
    maximum: float = 5.0
    reset_after: float = 10.0
    failures: int = 0

    @property
    def seconds(self) -> float:
        """The wait that is due now; 0 when nothing failed yet."""
        if self.failures == 0:
            return 0.0
        # the exponent is bounded: a float overflows long before anybody has waited that often
        return min(self.maximum, self.first * 2.0 ** min(self.failures - 1, 30))

    def after_failure(self, alive: float) -> Backoff:
        """The next state, when what was tried lived for `alive` seconds."""
        failures = 1 if alive >= self.reset_after else self.failures + 1
        return Backoff(first=self.first, maximum=self.maximum, reset_after=self.reset_after, failures=failures)
