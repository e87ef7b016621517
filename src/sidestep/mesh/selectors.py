"""Label selectors: which of many select a set of labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

import msgspec

Item = TypeVar("Item")


class Selecting(msgspec.Struct, Generic[Item], frozen=True, kw_only=True):
    """An item with the labels that it wants, in one namespace ("" for all namespaces)."""

    namespace: str
    labels: Mapping[str, str]
    item: Item


class SelectorIndex(Generic[Item]):
    """Finds the items that select given labels without looking at all of them.

    An item is filed under its rarest label. Empty selectors select nothing: what they mean differs from resource to
    resource, so the caller deals with them.
    """

    def __init__(self, selectors: Iterable[Selecting[Item]]) -> None:
        usable = [selector for selector in selectors if selector.labels]
        frequency = Counter((selector.namespace, pair) for selector in usable for pair in selector.labels.items())
        self._by_label: dict[tuple[str, tuple[str, str]], list[tuple[int, Selecting[Item]]]] = {}
        for position, selector in enumerate(usable):
            namespace = selector.namespace
            rarest = min(selector.labels.items(), key=lambda pair: (frequency[namespace, pair], pair))
            self._by_label.setdefault((namespace, rarest), []).append((position, selector))

    def selecting(self, namespace: str, labels: Mapping[str, str]) -> tuple[Item, ...]:
        """The items that select `labels` in `namespace`, in the order in which they were given."""
        found: list[tuple[int, Item]] = []
        pairs = labels.items()
        for where in (namespace, "") if namespace else ("",):
            for pair in pairs:
                for position, selector in self._by_label.get((where, pair), ()):
                    if len(selector.labels) == 1 or selector.labels.items() <= pairs:
                        found.append((position, selector.item))
        if len(found) > 1:
            found.sort(key=lambda entry: entry[0])
        return tuple(item for _, item in found)
