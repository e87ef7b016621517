"""Virtual addresses for hosts of ServiceEntries that have none: out of 240.240.0.0/16 and 2001:2::/48.

A host's place in the ranges follows from its name, so that it keeps its addresses even when what was allocated before
is lost; only a host whose place is taken moves on to the next free one. The same number counts in both ranges.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Mapping

_IPV4 = ipaddress.IPv4Network("240.240.0.0/16")
_IPV6 = ipaddress.IPv6Network("2001:2::/48")
RANGES = (str(_IPV4), str(_IPV6))
"""Where allocated addresses are from."""
_PLACES = _IPV4.num_addresses - 2
"""The first and the last address of the IPv4 range are not used."""


def allocate(keys: Iterable[str], current: Mapping[str, str]) -> Mapping[str, str]:
    """An IPv4 address for each of `keys`, the one of `current` where it has one; others of `current` are released.

    Entries of `current` that are outside the range, or given out twice, count as absent. With more keys than
    addresses the last of them, by name, get none.
    """
    wanted = sorted(set(keys))
    result: dict[str, str] = {}
    taken: set[int] = set()
    for key in wanted:
        place = _place_of(current.get(key, ""))
        if place is not None and place not in taken:
            taken.add(place)
            result[key] = current[key]
    for key in wanted:
        if key not in result and len(taken) < _PLACES:
            place = _free_place(key, taken)
            taken.add(place)
            result[key] = str(_IPV4[place])
    return {key: result[key] for key in wanted if key in result}


def ipv6_of(address: str) -> str:
    """The IPv6 address that belongs to an allocated IPv4 address."""
    place = _place_of(address)
    if place is None:
        raise ValueError(f"{address} is not in {_IPV4}")
    return str(_IPV6[place])


def _place_of(address: str) -> int | None:
    try:
        place = int(ipaddress.IPv4Address(address)) - int(_IPV4.network_address)
    except ValueError:
        return None
    return place if 1 <= place <= _PLACES else None


def _free_place(key: str, taken: set[int]) -> int:
    start = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8])
    return next(place for step in range(_PLACES) if (place := (start + step) % _PLACES + 1) not in taken)
