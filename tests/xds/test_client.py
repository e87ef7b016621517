"""Client and server against each other, over real grpc on a Unix socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
import structlog.testing
from tests.xds.support import OTHER, STRUCT, big_number, number, value_of

from sidestep.wire import envoy as pb
from sidestep.xds.cache import Cache
from sidestep.xds.client import WILDCARD, DeltaClient, InvalidResource
from sidestep.xds.peer import Absent, Ack, Answer, Nack, Peer, Pending, RefusedError
from sidestep.xds.resource import Resource
from sidestep.xds.server import METHOD, SERVICE, DeltaServer


class Numbers:
    """A handler that keeps numbers and refuses odd negative ones."""

    def __init__(self) -> None:
        self.kept: dict[str, int] = {}
        self.updates: list[tuple[str, list[str], list[str], bool]] = []
        self.failing = False

    async def on_update(self, type_url: str, added: Sequence[Resource], removed: Sequence[str], first: bool) -> None:
        if self.failing:
            raise RuntimeError("broken")
        for resource in added:
            if value_of(resource) > 1_000_000:
                raise InvalidResource(resource.name, "too large")
            self.kept[resource.name] = value_of(resource)
        for name in removed:
            self.kept.pop(name, None)
        self.updates.append((type_url, sorted(each.name for each in added), sorted(removed), first))


class Place:
    """A socket with a server that can be stopped and started."""

    def __init__(self, folder: Path) -> None:
        self.address = f"unix:{folder / 'x.sock'}"
        self.grpc: grpc.aio.Server | None = None

    async def start(self, server: DeltaServer) -> None:
        self.grpc = grpc.aio.server()
        self.grpc.add_generic_rpc_handlers(server.handlers())
        self.grpc.add_insecure_port(self.address)
        await self.grpc.start()

    async def stop(self) -> None:
        if self.grpc is not None:
            await self.grpc.stop(0)
            self.grpc = None

    def channel(self) -> grpc.aio.Channel:
        return grpc.aio.insecure_channel(self.address)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    place = Place(tmp_path)
    yield place
    await place.stop()


@pytest.fixture
def cache() -> Cache:
    cache = Cache()
    cache.mark_complete(STRUCT)
    return cache


@asynccontextmanager
async def running(client: DeltaClient) -> AsyncIterator[DeltaClient]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(client.run())
        yield client
        task.cancel()


async def until(condition: Callable[[], object], seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


def client_of(place: Place, handler: Numbers, **more: object) -> DeltaClient:
    return DeltaClient(place.channel, pb.Node(id="n1"), {STRUCT: WILDCARD}, handler, **more)  # type: ignore[arg-type]


async def test_follows(place: Place, cache: Cache) -> None:
    cache.update(STRUCT, [number("a", 1)])
    await place.start(DeltaServer(cache))
    numbers = Numbers()
    async with running(client_of(place, numbers)) as client:
        await until(lambda: numbers.kept == {"a": 1})
        assert client.connected
        cache.update(STRUCT, [number("b", 2)], ["a"])
        await until(lambda: numbers.kept == {"b": 2})
    assert not client.connected
    assert [first for *_, first in numbers.updates] == [True, False]


async def test_resumes_with_what_differs(place: Place, cache: Cache) -> None:
    cache.update(STRUCT, [number("a", 1), number("b", 2), number("c", 3)])
    await place.start(DeltaServer(cache))
    numbers = Numbers()
    states: list[bool] = []
    async with running(client_of(place, numbers, on_connected=states.append)):
        await until(lambda: len(numbers.kept) == 3)
        await place.stop()
        restarted = Cache()
        restarted.update(STRUCT, [number("a", 1), number("b", 5)])
        await place.start(DeltaServer(restarted))
        await until(lambda: states == [True, False, True])
        await asyncio.sleep(0.05)
        assert len(numbers.updates) == 1
        restarted.mark_complete(STRUCT)
        await until(lambda: numbers.kept == {"a": 1, "b": 5})
    assert numbers.updates[-1] == (STRUCT, ["b"], ["c"], False)


async def test_known_versions_are_not_sent_again(place: Place, cache: Cache) -> None:
    cache.update(STRUCT, [number("a", 1)])
    await place.start(DeltaServer(cache))
    numbers = Numbers()
    async with running(client_of(place, numbers, known={STRUCT: {"a": number("a", 1).version}})):
        await until(lambda: numbers.updates)
    assert numbers.updates == [(STRUCT, [], [], True)]


async def test_names_at_run_time(place: Place, cache: Cache) -> None:
    cache.update(STRUCT, [number("a", 1), number("b", 2, ["ip"])])
    await place.start(DeltaServer(cache))
    numbers = Numbers()
    client = DeltaClient(place.channel, pb.Node(id="n1"), {}, numbers)
    async with running(client):
        await asyncio.sleep(0.02)
        client.subscribe(STRUCT, ["a"])
        await until(lambda: numbers.kept == {"a": 1})
        client.subscribe(STRUCT, ["ip", "a"])
        await until(lambda: numbers.kept == {"a": 1, "b": 2})
        client.unsubscribe(STRUCT, ["a"])
        client.subscribe(STRUCT, ["missing"])
        await until(lambda: numbers.updates[-1][2] == ["missing"])
        cache.update(STRUCT, [number("a", 7), number("b", 8, ["ip"])])
        await until(lambda: numbers.kept["b"] == 8)
    assert numbers.kept["a"] == 1


@pytest.mark.parametrize("bad", [1, 40])
async def test_one_bad_resource_does_not_hold_back_the_good(place: Place, cache: Cache, bad: int) -> None:
    acks: list[Ack] = []
    nacks: list[Nack] = []
    await place.start(DeltaServer(cache, on_ack=acks.append, on_nack=nacks.append))
    cache.update(STRUCT, [number(f"bad-{index:02}", 2_000_000) for index in range(bad)] + [number("good", 1)])
    numbers = Numbers()
    async with running(client_of(place, numbers)):
        await until(lambda: nacks)
        assert numbers.kept == {"good": 1}
        assert len(nacks[0].versions) == bad
        assert "bad-00: too large" in nacks[0].message
        cache.update(STRUCT, [number("bad-00", 3)])
        await until(lambda: acks)
    assert numbers.kept["bad-00"] == 3


async def test_failing_handler_is_a_refusal(place: Place, cache: Cache) -> None:
    nacks: list[Nack] = []
    await place.start(DeltaServer(cache, on_nack=nacks.append))
    cache.update(STRUCT, [number("a", 1)])
    numbers = Numbers()
    numbers.failing = True
    async with running(client_of(place, numbers)):
        await until(lambda: nacks)
        assert nacks[0].message == "the handler failed: RuntimeError"
        numbers.failing = False
        cache.update(STRUCT, [number("b", 2)])
        await until(lambda: numbers.kept == {"b": 2})
        await place.stop()
        await place.start(DeltaServer(cache))
        await until(lambda: numbers.kept == {"a": 1, "b": 2})


class Source:
    """An on-demand source: `wait-…` is pending, `no-…` does not exist, `fail-…` raises."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.given_up: list[str] = []

    async def resolve(self, type_url: str, name: str, node_id: str) -> Resource | Answer:
        self.asked.append((name, node_id))
        await asyncio.sleep(0)
        if name.startswith("no-"):
            return Absent
        if name.startswith("fail-"):
            raise RuntimeError("broken")
        return Pending if name.startswith("wait-") else number(name, len(name))

    def released(self, type_url: str, name: str) -> None:
        self.given_up.append(name)


async def test_on_demand(place: Place) -> None:
    source, cache, numbers = Source(), Cache(), Numbers()
    await place.start(DeltaServer(cache, on_demand=source))
    client = DeltaClient(place.channel, pb.Node(id="n1"), {STRUCT: ["abc", "no-a", "wait-a", "fail-a"]}, numbers)
    other = DeltaClient(place.channel, pb.Node(id="n2"), {STRUCT: ["abc"]}, Numbers())
    async with running(client):
        await until(lambda: numbers.kept == {"abc": 3} and numbers.updates[-1][2] == ["no-a"])
        assert cache.get(STRUCT, "abc") == number("abc", 3)
        cache.update(STRUCT, [number("wait-a", 9), number("fail-a", 9)])
        await until(lambda: numbers.kept == {"abc": 3, "wait-a": 9, "fail-a": 9})
        async with running(other):
            await until(lambda: other.connected)
            client.unsubscribe(STRUCT, ["abc", "no-a"])
            await until(lambda: source.given_up == ["no-a"])
        await until(lambda: source.given_up == ["no-a", "abc"])
    await until(lambda: sorted(source.given_up) == ["abc", "fail-a", "no-a", "wait-a"])
    assert {node for _, node in source.asked} == {"n1"}


async def test_refused_peer(place: Place, cache: Cache) -> None:
    def authorize(peer: Peer) -> None:
        if peer.node_id == "n1":
            raise RefusedError("n1 is not welcome")

    server = DeltaServer(cache, authorize=authorize)
    await place.start(server)
    async with place.channel() as channel:
        method: grpc.aio.StreamStreamMultiCallable[pb.DeltaDiscoveryRequest, bytes] = channel.stream_stream(
            METHOD, request_serializer=pb.DeltaDiscoveryRequest.SerializeToString
        )
        call = method(iter([pb.DeltaDiscoveryRequest(node=pb.Node(id="n1"), type_url=STRUCT)]))
        with pytest.raises(grpc.aio.AioRpcError, match="n1 is not welcome") as caught:
            await call.read()
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert server.peers == ()


async def test_peers_come_and_go(place: Place, cache: Cache) -> None:
    events: list[str] = []
    server = DeltaServer(
        cache,
        on_connect=lambda peer: events.append(f"+{peer.node_id}"),
        on_disconnect=lambda peer: events.append(f"-{peer.node_id}"),
    )
    await place.start(server)
    async with running(client_of(place, Numbers())) as client:
        await until(lambda: client.connected)
        assert [peer.node_id for peer in server.peers] == ["n1"]
    await until(lambda: events == ["+n1", "-n1"])
    assert server.peers == ()


async def test_slow_client_gets_the_last_state_only(place: Place, cache: Cache) -> None:
    await place.start(DeltaServer(cache))
    gate = asyncio.Event()

    class Slow(Numbers):
        async def on_update(
            self, type_url: str, added: Sequence[Resource], removed: Sequence[str], first: bool
        ) -> None:
            await super().on_update(type_url, added, removed, first)
            await gate.wait()

    slow = Slow()
    async with running(client_of(place, slow)):
        await until(lambda: slow.updates)
        big = "x" * 500
        for value in range(300):
            cache.update(STRUCT, [number(f"{big}{index}", value) for index in range(20)])
            await asyncio.sleep(0)
        gate.set()
        await until(lambda: list(slow.kept.values()) == [299] * 20)
    assert len(slow.updates) < 300


async def test_ten_thousand(place: Place, cache: Cache) -> None:
    cache.update(STRUCT, [number(f"workload-{index}" + "x" * 400, index) for index in range(10_000)])
    await place.start(DeltaServer(cache))
    handlers = [Numbers(), Numbers()]
    async with running(client_of(place, handlers[0])), running(client_of(place, handlers[1])):
        await until(lambda: all(len(each.kept) == 10_000 for each in handlers))
    assert len(handlers[0].updates) > 1


async def test_server_away_at_first(place: Place, cache: Cache) -> None:
    cache.update(STRUCT, [number("a", 1)])
    numbers = Numbers()
    async with running(client_of(place, numbers)) as client:
        await asyncio.sleep(0.1)
        assert not client.connected
        await place.start(DeltaServer(cache))
        await until(lambda: numbers.kept == {"a": 1})


@pytest.mark.parametrize("status", [grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL, None])
async def test_any_end_of_a_stream_is_followed_by_another(place: Place, cache: Cache, status: Any) -> None:
    calls: list[int] = []

    async def end(requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        calls.append(1)
        if status is not None:
            await context.abort(status, "not now")

    method: Any = grpc.stream_stream_rpc_method_handler(end)
    handlers = grpc.method_handlers_generic_handler(SERVICE, {"DeltaAggregatedResources": method})
    place.grpc = grpc.aio.server()
    place.grpc.add_generic_rpc_handlers((handlers,))
    place.grpc.add_insecure_port(place.address)
    await place.grpc.start()
    cache.update(STRUCT, [number("a", 1)])
    numbers = Numbers()
    async with running(client_of(place, numbers)):
        await until(lambda: len(calls) > 2)
        await place.stop()
        await place.start(DeltaServer(cache))
        await until(lambda: numbers.kept == {"a": 1})


async def test_errors_are_logged_without_what_was_at_hand(place: Place, cache: Cache) -> None:
    class Careless(Source):
        async def resolve(self, type_url: str, name: str, node_id: str) -> Resource | Answer:
            secret = Resource.of(name, pb.DataSource(inline_string="PRIVATE KEY"))
            raise RuntimeError(f"cannot use {secret}")

    numbers = Numbers()
    numbers.failing = True
    with structlog.testing.capture_logs() as logs:
        await place.start(DeltaServer(cache, on_demand=Careless()))
        client = DeltaClient(place.channel, pb.Node(id="n1"), {STRUCT: ["*", "a"]}, numbers)
        async with running(client):
            await until(lambda: {"xds.resolve_failed", "xds.handler_failed"} <= {line["event"] for line in logs})
    assert "cannot use <DataSource" in str(logs)
    assert "PRIVATE KEY" not in str(logs)


async def test_types_are_apart(place: Place, cache: Cache) -> None:
    cache.update(STRUCT, [number("a", 1)])
    cache.update(OTHER, [big_number("a", 2)])
    cache.mark_complete(OTHER)
    await place.start(DeltaServer(cache))
    numbers = Numbers()
    client = DeltaClient(place.channel, pb.Node(id="n1"), {STRUCT: "*", OTHER: ["a"]}, numbers)
    async with running(client):
        await until(lambda: len(numbers.updates) == 2)
    assert {update[0] for update in numbers.updates} == {STRUCT, OTHER}


async def test_says_when_all_was_heard(place: Place, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidestep.xds.stream.CHUNK_BYTES", 100)
    cache.update(STRUCT, [number(f"n{value:03}", value) for value in range(20)])
    await place.start(DeltaServer(cache))
    numbers = Numbers()
    heard: list[tuple[str, int]] = []
    client = client_of(place, numbers, on_whole=lambda type_url: heard.append((type_url, len(numbers.kept))))
    async with running(client):
        await until(lambda: heard)
    assert len(numbers.updates) > 3
    assert heard == [(STRUCT, 20)]
