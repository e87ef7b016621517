"""What one stream subscribes to of one type, what its client holds of it, and what it must be sent next.

No I/O: requests, cache changes and answers go in, a `Delta` comes out. The rules (of the delta xDS protocol, unless
another reason is given):

- A client that subscribes to a name is answered, even with what it holds already: it may have forgotten it. Only the
  first request of a stream, which tells what the client holds, is answered with nothing but the differences.
- The first request of a type without names is the wildcard, as is the name `*`.
- A resource that the client holds is reported as removed when this cache had it and lost it, or when the type is
  complete. A server that has just started knows little: it must not take away what works.
- A name that the cache lacks is asked of the on-demand source, where there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from sidestep.xds.cache import Cache, Change
from sidestep.xds.delta import WILDCARD, Delta, State
from sidestep.xds.peer import Absent, Answer
from sidestep.xds.resource import Resource


class Subscriptions:
    """State machine of one type on one stream."""

    def __init__(self, cache: Cache, type_url: str, visible: Callable[[Resource], bool], *, asks: bool) -> None:
        """`asks`: there is an on-demand source."""
        self._cache = cache
        self._type_url = type_url
        self._visible = visible
        self._asks = asks
        self._started = False
        self._wildcard = False
        self._names: dict[str, State] = {}
        self._held: dict[str, str] = {}
        # Held from an earlier stream, perhaps for an alias: whether they exist is clear once all names are answered.
        self._stale: set[str] = set()
        # Work for the next `take`.
        self._everything = False
        self._answer_due = False
        self._dirty: set[str] = set()
        self._forced: set[str] = set()
        self._lost: set[str] = set()
        self._denied: set[str] = set()

    @property
    def names(self) -> frozenset[str]:
        """The names subscribed to, without the wildcard."""
        return frozenset(self._names)

    @property
    def held(self) -> Mapping[str, str]:
        """Versions by name of what the client has, or has been sent."""
        return self._held

    # --- what goes in --------------------------------------------------------------------------------------------

    def request(self, subscribe: Iterable[str], unsubscribe: Iterable[str], initial: Mapping[str, str]) -> None:
        """The names of a request. `initial`: what the client holds; of meaning in the first request only."""
        first, self._started = not self._started, True
        wanted = tuple(subscribe)
        if first:
            self._held = dict(initial)
            self._stale = set(initial)
            self._everything = True
            if not wanted:
                wanted = (WILDCARD,)
        for name in unsubscribe:
            self._unsubscribe(name)
        for name in wanted:
            self._subscribe(name, force=not first)

    def changed(self, change: Change) -> bool:
        """The cache has changed; gives whether `take` may have something to say."""
        if change.completed:
            self._everything = True
            return True
        moved = change.touched | change.removed
        mine = {key for key in moved | change.denied if key in self._names or key in self._held}
        if self._wildcard:
            mine |= moved
        self._dirty |= mine
        self._lost |= change.removed & mine
        self._denied |= change.denied & mine
        return bool(mine)

    def answered(self, name: str, answer: Answer | Resource) -> None:
        """The on-demand source has answered; a resource has been put into the cache already."""
        if name not in self._names:
            return
        # What was said of the name while the question was under way is older than the answer.
        self._denied.discard(name)
        self._names[name] = State.ABSENT if answer is Absent else State.PENDING
        self._dirty.add(name)

    def force(self, name: str) -> bool:
        """Send this again if the client follows it; gives whether it does."""
        if name not in self._names and name not in self._held:
            return False
        self._forced.add(name)
        self._dirty.add(name)
        return True

    # --- what comes out ------------------------------------------------------------------------------------------

    def take(self) -> Delta:
        """All that is to be said now; a second call gives nothing unless something went in between."""
        delta = Delta()
        for key in self._keys():
            self._consider(key, delta)
        if self._answer_due and self._cache.complete(self._type_url):
            self._answer_due = False
            delta.empty_answer = True
        for pending in (self._dirty, self._forced, self._lost, self._denied):
            pending.clear()
        return delta

    def _keys(self) -> Iterable[str]:
        self._stale &= self._held.keys() - self._names.keys()
        if not self._everything:
            # The dirty ones first: they may be the answers.
            return (*self._dirty, *(self._stale - self._dirty))
        self._everything = False
        keys = dict.fromkeys((*self._dirty, *self._names, *self._held))
        if self._wildcard:
            keys |= dict.fromkeys(resource.name for resource in self._cache.snapshot(self._type_url))
        return tuple(keys)

    def _consider(self, key: str, delta: Delta) -> None:
        present = self._cache.find(self._type_url, key)
        found = [resource for resource in present if self._visible(resource)]
        for resource in found:
            self._offer(resource, delta, force=key in self._forced)
        if key in self._names:
            if found:
                self._names[key] = State.SETTLED
            elif present and self._names[key] is not State.SETTLED:
                self._names[key] = State.ABSENT
        if not any(resource.name == key for resource in found):
            if present:
                self._lost.add(key)
            self._miss(key, delta)

    def _offer(self, resource: Resource, delta: Delta, *, force: bool) -> None:
        name = resource.name
        named = name in self._names or any(alias in self._names for alias in resource.aliases)
        in_wildcard = self._wildcard and not resource.named_only
        if not named and not in_wildcard:
            if self._held.pop(name, None) is not None:
                delta.removed.add(name)
            return
        if not named and not self._cache.complete(self._type_url):
            return
        version = self._held.get(name)
        if version != resource.version and version is not None:
            delta.replaced.add(name)
        if force or version != resource.version:
            self._held[name] = resource.version
            delta.resources[name] = resource

    def _miss(self, key: str, delta: Delta) -> None:
        """No resource has this name, or none that this client may see."""
        if key in self._held and self._may_remove(key):
            del self._held[key]
            self._say_removed(key, delta)
            return
        held = key in self._held
        match self._names.get(key):
            case None:
                # The client no longer names it but has the wildcard: it must hear whether it goes on having it.
                if not held and key in self._forced and self._cache.complete(self._type_url):
                    self._say_removed(key, delta)
            case State.UNASKED if self._asks:
                self._names[key] = State.ASKING
                delta.asks.append(key)
            case State.UNASKED if self._cache.complete(self._type_url):
                self._say_removed(key, delta)
            case State.PENDING if key in self._denied and not held:
                self._say_removed(key, delta)
            case State.ABSENT if not held:
                self._say_removed(key, delta)

    def _may_remove(self, key: str) -> bool:
        """Whether it is certain that a resource which the client holds does not exist."""
        if key in self._lost:
            return True
        if not self._cache.complete(self._type_url):
            return False
        if not self._asks:
            return True
        match self._names.get(key):
            case None:
                return self._wildcard or not any(self._unanswered())
            case State.PENDING:
                return key in self._denied
            case state:
                return state is State.ABSENT

    def _unanswered(self) -> Iterable[str]:
        waiting = (State.UNASKED, State.ASKING, State.PENDING)
        return (name for name, state in self._names.items() if state in waiting)

    def _say_removed(self, key: str, delta: Delta) -> None:
        delta.removed.add(key)
        if key in self._names:
            self._names[key] = State.SETTLED

    # --- names ---------------------------------------------------------------------------------------------------

    def _subscribe(self, name: str, *, force: bool) -> None:
        if name == WILDCARD:
            self._wildcard = self._everything = self._answer_due = True
            return
        if self._names.get(name) is not State.ASKING:
            self._names[name] = State.UNASKED
        self._dirty.add(name)
        if force:
            self._forced.add(name)

    def _unsubscribe(self, name: str) -> None:
        if name == WILDCARD:
            self._wildcard = self._answer_due = False
            self._held = {key: version for key, version in self._held.items() if self._is_named(key)}
            return
        self._names.pop(name, None)
        if self._wildcard:
            self._forced.add(name)
            self._dirty.add(name)
            return
        self._dirty.discard(name)
        for key in (name, *(resource.name for resource in self._cache.find(self._type_url, name))):
            if not self._is_named(key):
                self._held.pop(key, None)

    def _is_named(self, key: str) -> bool:
        if key in self._names:
            return True
        found = self._cache.find(self._type_url, key)
        return any(alias in self._names for resource in found for alias in resource.aliases)
