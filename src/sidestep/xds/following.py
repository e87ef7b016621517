"""What a client follows of one type, and what it has: it lives longer than a stream. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sidestep.wire import envoy as pb
from sidestep.xds.delta import WILDCARD
from sidestep.xds.resource import Resource

_INVALID_ARGUMENT = 3
_MESSAGE_CHARACTERS = 4096


@dataclass(frozen=True, slots=True)
class _Held:
    version: str
    aliases: tuple[str, ...] = ()


class Following:
    """One type's names and versions."""

    def __init__(self, type_url: str, names: Collection[str], known: Mapping[str, str]) -> None:
        self.type_url = type_url
        self.first = True
        """No update of this type has been taken yet."""
        self._names = set(names)
        self._held = {name: _Held(version) for name, version in known.items()}
        self._started = False

    @property
    def versions(self) -> Mapping[str, str]:
        """Versions by name of what has been taken."""
        return {name: held.version for name, held in self._held.items()}

    # --- requests ------------------------------------------------------------------------------------------------

    def opening(self) -> pb.DeltaDiscoveryRequest | None:
        """The first request of a stream; none while nothing is followed, since it would mean everything."""
        self._started = bool(self._names)
        if not self._started:
            return None
        # The wildcard alone is spelled the old way, which servers without `*` know as well.
        names = () if self._names == {WILDCARD} else sorted(self._names)
        return pb.DeltaDiscoveryRequest(
            type_url=self.type_url, resource_names_subscribe=names, initial_resource_versions=self.versions
        )

    def subscribe(self, names: Collection[str]) -> pb.DeltaDiscoveryRequest | None:
        """Follow these as well; gives the request to send on an open stream."""
        new = sorted(set(names) - self._names)
        self._names.update(new)
        if not new:
            return None
        if not self._started:
            return self.opening()
        return pb.DeltaDiscoveryRequest(type_url=self.type_url, resource_names_subscribe=new)

    def unsubscribe(self, names: Collection[str]) -> pb.DeltaDiscoveryRequest | None:
        """Follow these no more; gives the request to send on an open stream."""
        old = sorted(self._names.intersection(names))
        self._names.difference_update(old)
        self._held = {name: held for name, held in self._held.items() if self._follows(name, held.aliases)}
        if not old or not self._started:
            return None
        return pb.DeltaDiscoveryRequest(type_url=self.type_url, resource_names_unsubscribe=old)

    def answer(self, nonce: str, rejected: Mapping[str, str]) -> pb.DeltaDiscoveryRequest:
        """The ACK of a response or, with reasons by name, its NACK."""
        request = pb.DeltaDiscoveryRequest(type_url=self.type_url, response_nonce=nonce)
        if rejected:
            request.error_detail.code = _INVALID_ARGUMENT
            request.error_detail.message = "; ".join(dict.fromkeys(rejected.values()))[:_MESSAGE_CHARACTERS]
        return request

    # --- responses -----------------------------------------------------------------------------------------------

    def wanted(self, resources: Iterable[pb.Resource]) -> tuple[Resource, ...]:
        """The resources of a response that are followed: a response may cross an end of subscription."""
        # A resource without a body only prolongs the life of what is there.
        decoded = (Resource.from_wire(each, self.type_url) for each in resources if each.HasField("resource"))
        return tuple(each for each in decoded if self._follows(each.name, each.aliases))

    def taken(self, added: Sequence[Resource], removed: Iterable[str]) -> None:
        """The handler has taken these over."""
        for resource in added:
            if self._follows(resource.name, resource.aliases):
                self._held[resource.name] = _Held(resource.version, resource.aliases)
        for name in removed:
            self._held.pop(name, None)
        self.first = False

    def _follows(self, name: str, aliases: Collection[str]) -> bool:
        return WILDCARD in self._names or name in self._names or not self._names.isdisjoint(aliases)
