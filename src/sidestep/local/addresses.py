"""Addresses of a node's pods."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from sidestep.local.errors import OperatingSystemError
from sidestep.local.instance import NodePlan

_FIRST = 2
_LAST = 254


class AddressPool:
    """Gives the same number in both families; a freed one is reused as late as possible."""

    def __init__(self, plan: NodePlan) -> None:
        self._plan = plan
        self._taken: set[int] = set()
        self._next = _FIRST

    def take(self) -> tuple[IPv4Address, IPv6Address | None]:
        """A free pair; the second is None on a host without IPv6."""
        for step in range(_LAST - _FIRST + 1):
            number = _FIRST + (self._next - _FIRST + step) % (_LAST - _FIRST + 1)
            if number not in self._taken:
                self._taken.add(number)
                self._next = number + 1
                return self._plan.pods[number], self._plan.pods6[number] if self._plan.instance.ipv6 else None
        raise OperatingSystemError(f"{self._plan.name} is full: it has {len(self._taken)} pods")

    def give_back(self, address: IPv4Address) -> None:
        self._taken.discard(int(address) - int(self._plan.pods.network_address))

    def __len__(self) -> int:
        return len(self._taken)
