"""Whatever happens, in whatever order: in the end a client has what the cache says it should have."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.xds.support import STRUCT, number, value_of

from sidestep.wire import envoy as pb
from sidestep.xds.cache import Cache
from sidestep.xds.delta import WILDCARD
from sidestep.xds.following import Following
from sidestep.xds.peer import Absent, Peer, Pending
from sidestep.xds.resource import Resource
from sidestep.xds.stream import Rules, Stream

NAMES = st.sampled_from([f"n{index}" for index in range(5)])
WANTED = st.sampled_from([*(f"n{index}" for index in range(5)), WILDCARD, "ip0", "ip1"])
VALUES = st.integers(0, 3)
HIDDEN = 3


class Convergence(RuleBasedStateMachine):
    """A server that may restart, a client that may reconnect, messages that wait on the line."""

    @initialize(asks=st.booleans())
    def start(self, asks: bool) -> None:
        self.asks = asks
        self.cache = Cache()
        self.following = Following(STRUCT, (), {})
        self.kept: dict[str, int] = {}
        self.names: set[str] = set()
        self.stream: Stream | None = None
        self.to_server: list[pb.DeltaDiscoveryRequest] = []
        self.to_client: list[bytes] = []
        self.open_questions: list[str] = []
        self.watch()

    def watch(self) -> None:
        self.cache.watch(lambda change: None if self.stream is None else (self.stream.changed(change), None)[1])

    # --- the cache -----------------------------------------------------------------------------------------------

    @rule(name=NAMES, value=VALUES, aliases=st.sets(st.sampled_from(["ip0", "ip1"])), named_only=st.booleans())
    def put(self, name: str, value: int, aliases: set[str], named_only: bool) -> None:
        self.cache.update(STRUCT, [number(name, value, sorted(aliases), named_only=named_only)])

    @rule(names=st.sets(NAMES))
    def remove(self, names: set[str]) -> None:
        self.cache.update(STRUCT, [], names)

    @rule()
    def complete(self) -> None:
        self.cache.mark_complete(STRUCT)

    @rule()
    def restart_server(self) -> None:
        """It forgets everything."""
        self.disconnect()
        self.cache = Cache()
        self.watch()

    # --- the client ----------------------------------------------------------------------------------------------

    @rule(names=st.sets(WANTED, min_size=1))
    def subscribe(self, names: set[str]) -> None:
        self.names |= names
        self.send(self.following.subscribe(names))

    @rule(names=st.sets(WANTED, min_size=1))
    def unsubscribe(self, names: set[str]) -> None:
        self.names -= names
        self.send(self.following.unsubscribe(names))
        self.kept = {name: value for name, value in self.kept.items() if name in self.following.versions}

    def send(self, request: pb.DeltaDiscoveryRequest | None) -> None:
        if request is not None and self.stream is not None:
            self.to_server.append(request)

    @rule()
    def disconnect(self) -> None:
        self.stream = None
        self.to_server, self.to_client, self.open_questions = [], [], []

    @precondition(lambda self: self.stream is None)
    @rule()
    def connect(self) -> None:
        rules = Rules(visible=lambda _peer, resource: value_of(resource) != HIDDEN, asks=self.asks)
        self.stream = Stream(self.cache, Peer(node=pb.Node(id="n")), rules)
        self.send(self.following.opening())

    # --- the line ------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.to_server)
    @rule()
    def server_hears(self) -> None:
        assert self.stream is not None
        self.stream.receive(self.to_server.pop(0))

    @precondition(lambda self: self.stream is not None)
    @rule()
    def server_speaks(self) -> None:
        assert self.stream is not None
        flush = self.stream.take()
        self.open_questions += [name for _, name in flush.asks]
        self.to_client += flush.responses

    @precondition(lambda self: self.open_questions)
    @rule(answer=st.sampled_from([Absent, Pending, None]))
    def source_answers(self, answer: Any) -> None:
        assert self.stream is not None
        name = self.open_questions.pop(0)
        if answer is None and name.startswith("n"):
            self.cache.update(STRUCT, [number(name, 1)])
        self.stream.answered(STRUCT, name, answer or Pending)

    @precondition(lambda self: self.to_client)
    @rule()
    def client_hears(self) -> None:
        response = pb.DeltaDiscoveryResponse.FromString(self.to_client.pop(0))
        added = self.following.wanted(response.resources)
        self.kept |= {resource.name: value_of(resource) for resource in added}
        for name in response.removed_resources:
            self.kept.pop(name, None)
        self.following.taken(added, response.removed_resources)
        self.send(self.following.answer(response.nonce, {}))

    # --- what must hold ------------------------------------------------------------------------------------------

    @invariant()
    def client_is_of_one_mind(self) -> None:
        assert self.following.versions.keys() == self.kept.keys()

    @rule()
    def settles(self) -> None:
        """Everything on the line arrives, every question is answered, and the type is complete."""
        if self.stream is None:
            self.connect()
        self.cache.mark_complete(STRUCT)
        quiet = False
        while not quiet:
            quiet = not self.to_server
            while self.to_server:
                self.server_hears()
            self.server_speaks()
            quiet = quiet and not self.to_client and not self.open_questions
            while self.open_questions:
                self.source_answers(Absent)
            while self.to_client:
                self.client_hears()
        assert self.kept == self.expected()

    def expected(self) -> dict[str, int]:
        return {resource.name: value_of(resource) for resource in self.cache.snapshot(STRUCT) if self.is_due(resource)}

    def is_due(self, resource: Resource) -> bool:
        named = not self.names.isdisjoint({resource.name, *resource.aliases})
        in_wildcard = WILDCARD in self.names and not resource.named_only
        return value_of(resource) != HIDDEN and (named or in_wildcard)

    def teardown(self) -> None:
        if hasattr(self, "cache"):
            self.settles()


Convergence.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestConvergence = Convergence.TestCase
