"""Small resources, and a client that speaks line by line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from sidestep.wire import envoy as pb
from sidestep.xds.cache import Cache, Change
from sidestep.xds.peer import Peer
from sidestep.xds.resource import Resource
from sidestep.xds.stream import Received, Rules, Stream

STRUCT = "type.googleapis.com/google.protobuf.UInt32Value"
OTHER = "type.googleapis.com/google.protobuf.UInt64Value"


def number(name: str, value: int, aliases: Iterable[str] = (), *, named_only: bool = False) -> Resource:
    return Resource.of(name, pb.UInt32Value(value=value), tuple(aliases), named_only=named_only)


def big_number(name: str, value: int) -> Resource:
    return Resource.of(name, pb.UInt64Value(value=value))


def value_of(resource: Resource | pb.Resource) -> int:
    body = resource.body if isinstance(resource, Resource) else resource.resource.value
    return pb.UInt32Value.FromString(body).value


class Line:
    """A stream and its client; `says` gives what the server answers to a request, as text."""

    def __init__(
        self,
        cache: Cache,
        *,
        asks: bool = False,
        visible: Callable[[Peer, Resource], bool] = lambda _peer, _resource: True,
        order: tuple[str, ...] = (),
        companions: Mapping[str, str] | None = None,
    ) -> None:
        rules = Rules(visible=visible, asks=asks, order=order, companions=companions or {})
        self.stream = Stream(cache, Peer(node=pb.Node(id="n1")), rules)
        cache.watch(self._changed)
        self.asked: list[str] = []
        self.last: list[pb.DeltaDiscoveryResponse] = []

    def _changed(self, change: Change) -> None:
        self.stream.changed(change)

    def send(
        self,
        *subscribe: str,
        drop: Iterable[str] = (),
        has: Mapping[str, str] | None = None,
        nonce: str = "",
        error: str | None = None,
        type_url: str = STRUCT,
    ) -> Received:
        request = pb.DeltaDiscoveryRequest(
            type_url=type_url,
            resource_names_subscribe=subscribe,
            resource_names_unsubscribe=drop,
            initial_resource_versions=has or {},
            response_nonce=nonce,
        )
        if error is not None:
            request.error_detail.message = error
        return self.stream.receive(request)

    def says(self, *subscribe: str, drop: Iterable[str] = (), has: Mapping[str, str] | None = None) -> str:
        self.send(*subscribe, drop=drop, has=has)
        return self.hears()

    def hears(self) -> str:
        """`+name=value` for resources, `-name` for removals, `()` for an empty response, `; ` between responses."""
        self.last = []
        flush = self.stream.take()
        while flush.responses or flush.asks:
            self.asked += [name for _, name in flush.asks]
            self.last += [pb.DeltaDiscoveryResponse.FromString(each) for each in flush.responses]
            flush = self.stream.take()
        return "; ".join(_text(response) for response in self.last)


def _text(response: pb.DeltaDiscoveryResponse) -> str:
    added = sorted(f"+{each.name}={value_of(each)}" for each in response.resources)
    removed = [f"-{name}" for name in response.removed_resources]
    return " ".join([*added, *removed]) or "()"
