"""Durations as people write them: `24h`, `90s`, `1h30m`, `500ms`."""

from __future__ import annotations

import datetime as dt
import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)", re.ASCII)
_WHOLE = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)


def parse_duration(text: str) -> dt.timedelta:
    """Read a positive duration with units; raises `ValueError`."""
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"invalid duration {text!r}: write e.g. 24h, 90s or 1h30m")
    try:
        duration = dt.timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text)))
    except OverflowError:
        raise ValueError(f"the duration {text!r} is too long") from None
    if duration <= dt.timedelta():
        raise ValueError(f"the duration {text!r} must be more than zero")
    return duration
