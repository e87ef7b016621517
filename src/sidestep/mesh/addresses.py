"""Addresses and blocks as resources write them → canonical text."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable


@functools.lru_cache(maxsize=65536)
def canonical_address(text: str) -> str | None:
    """`FD00::0001` → `fd00::1`; None if it is no address, or one with a zone."""
    if "%" in text:
        return None
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def canonical_addresses(texts: Iterable[str]) -> tuple[str, ...]:
    """Those that are addresses, each once, in their order."""
    found = (canonical_address(text) for text in texts)
    return tuple(dict.fromkeys(address for address in found if address is not None))


def canonical_block(text: str) -> str | None:
    """An address or a CIDR as a CIDR without host bits; None if it is neither."""
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return None
