"""The resources that a server offers, by type and name.

Storing what is there already is no change and wakes nobody. All methods are for the event loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sidestep.xds.resource import Resource


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What happened to one type."""

    type_url: str
    touched: frozenset[str] = frozenset()
    """Names and aliases that may give another resource than before, or none."""
    removed: frozenset[str] = frozenset()
    """Names of resources that are gone."""
    denied: frozenset[str] = frozenset()
    """Names said to be removed that were not there: who waits for one of them waits in vain."""
    completed: bool = False
    """The type has become complete."""


Watcher = Callable[[Change], None]
"""Called at once, inside the changing call; must neither block nor change the cache."""


@dataclass(slots=True)
class _Type:
    resources: dict[str, Resource] = field(default_factory=dict)
    # An alias may belong to several resources (hosts that share an address).
    aliases: dict[str, dict[str, None]] = field(default_factory=dict)
    complete: bool = False


class Cache:
    """Resources by type and name, with watchers."""

    def __init__(self) -> None:
        self._types: dict[str, _Type] = {}
        self._watchers: dict[object, Watcher] = {}

    # --- reading -------------------------------------------------------------------------------------------------

    def get(self, type_url: str, name: str) -> Resource | None:
        """The resource with this name or, failing that, with this alias."""
        return next(iter(self.find(type_url, name)), None)

    def find(self, type_url: str, name: str) -> tuple[Resource, ...]:
        """The resource with this name or, failing that, all that have this alias."""
        kept = self._types.get(type_url)
        if kept is None:
            return ()
        found = kept.resources.get(name)
        if found is not None:
            return (found,)
        return tuple(kept.resources[owner] for owner in kept.aliases.get(name, ()))

    def snapshot(self, type_url: str) -> tuple[Resource, ...]:
        """All resources of the type."""
        kept = self._types.get(type_url)
        return () if kept is None else tuple(kept.resources.values())

    def complete(self, type_url: str) -> bool:
        """Whether what is not here does not exist."""
        kept = self._types.get(type_url)
        return kept is not None and kept.complete

    # --- writing -------------------------------------------------------------------------------------------------

    def update(self, type_url: str, changed: Iterable[Resource], removed: Iterable[str] = ()) -> bool:
        """Put the changed resources, take the removed ones away; gives whether anything changed.

        Removing a name that is not here says that it does not exist: a client that waits for it is told so.
        """
        kept = self._types.setdefault(type_url, _Type())
        touched: set[str] = set()
        for resource in changed:
            if resource.type_url != type_url:
                raise ValueError(f"{resource!r} is not of type {type_url}")
            touched |= _put(kept, resource)
        gone, denied = set(), set()
        for name in removed:
            if name in kept.resources:
                touched |= _drop(kept, name)
                gone.add(name)
            else:
                denied.add(name)
        if touched or denied:
            self._tell(
                Change(
                    type_url=type_url,
                    touched=frozenset(touched),
                    removed=frozenset(gone),
                    denied=frozenset(denied),
                )
            )
        return bool(touched)

    def replace(self, type_url: str, resources: Iterable[Resource]) -> bool:
        """These are all resources that the type has; gives whether anything changed. Does not mark it complete."""
        new = {resource.name: resource for resource in resources}
        gone = [resource.name for resource in self.snapshot(type_url) if resource.name not in new]
        return self.update(type_url, new.values(), gone)

    def mark_complete(self, type_url: str) -> None:
        """From now on what is not here does not exist, and wildcard subscriptions are answered."""
        kept = self._types.setdefault(type_url, _Type())
        if not kept.complete:
            kept.complete = True
            self._tell(Change(type_url=type_url, completed=True))

    # --- watching ------------------------------------------------------------------------------------------------

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Tell `watcher` of each change from now on; the function given back ends that."""
        token = object()
        self._watchers[token] = watcher

        def end() -> None:
            self._watchers.pop(token, None)

        return end

    def _tell(self, change: Change) -> None:
        for watcher in tuple(self._watchers.values()):
            watcher(change)


def _put(kept: _Type, resource: Resource) -> set[str]:
    old = kept.resources.get(resource.name)
    if old is not None and old == resource:
        return set()
    touched = {resource.name, *resource.aliases}
    if old is not None and old.aliases != resource.aliases:
        touched |= _forget_aliases(kept, old)
    kept.resources[resource.name] = resource
    for alias in resource.aliases:
        kept.aliases.setdefault(alias, {})[resource.name] = None
    return touched


def _drop(kept: _Type, name: str) -> set[str]:
    old = kept.resources.pop(name)
    return {name} | _forget_aliases(kept, old)


def _forget_aliases(kept: _Type, resource: Resource) -> set[str]:
    for alias in resource.aliases:
        owners = kept.aliases.get(alias, {})
        owners.pop(resource.name, None)
        if not owners:
            kept.aliases.pop(alias, None)
    return set(resource.aliases)
