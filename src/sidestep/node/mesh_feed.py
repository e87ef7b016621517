"""The mesh as the controller tells it: WDS resources decoded into the view, and remembered across restarts.

What was heard last is kept in the agent's folder, so that a restarted agent serves its pods at once, with or without
a controller. It holds nothing secret: workloads, services and policies.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog

from sidestep.mesh.wds import InvalidMessage, decode_address, decode_policy
from sidestep.node.view import MeshView
from sidestep.wire import istio
from sidestep.xds.cache import Cache
from sidestep.xds.client import InvalidResource
from sidestep.xds.resource import Resource

_SAVE_EVERY_SECONDS = 1.0
_TYPES = (istio.ADDRESS, istio.AUTHORIZATION)

_log = structlog.get_logger()

Decoded = TypeVar("Decoded")


class _Kept(msgspec.Struct, frozen=True):
    """A resource on disk."""

    type_url: str
    name: str
    version: str
    body: bytes
    aliases: tuple[str, ...] = ()


class MeshFeed:
    """Takes WDS updates into `view`, hands them on to `cache` (for the DNS server), and tells `changed`."""

    def __init__(
        self, view: MeshView, cache: Cache, path: Path, changed: Callable[[frozenset[str], bool], None]
    ) -> None:
        """`changed(addresses, policies)`: addresses with a new meaning, and whether policies may have changed."""
        self._view = view
        self._cache = cache
        self._path = path
        self._changed = changed
        self._unsaved = asyncio.Event()
        self._heard: set[str] = set()
        self.synchronised = asyncio.Event()

    def load(self) -> bool:
        """Takes what was kept on disk, if anything; True when there was."""
        if not self._path.exists():
            return False
        try:
            kept = msgspec.msgpack.decode(self._path.read_bytes(), type=tuple[_Kept, ...])
        except msgspec.DecodeError as error:
            _log.warning("mesh.cache_unreadable", file=str(self._path), reason=str(error))
            return False
        for type_url in _TYPES:
            resources = [
                Resource(name=each.name, type_url=type_url, body=each.body, version=each.version, aliases=each.aliases)
                for each in kept
                if each.type_url == type_url
            ]
            self._take(type_url, resources, ())
            self._cache.update(type_url, resources)
        _log.info("mesh.from_disk", resources=len(kept))
        return True

    async def on_update(self, type_url: str, added: Sequence[Resource], removed: Sequence[str], first: bool) -> None:
        """Handler of the delta client. InvalidResource for one that cannot be decoded: the last good one stays."""
        del first
        self._take(type_url, added, removed)
        self._cache.update(type_url, added, removed)
        if self.synchronised.is_set():
            self._unsaved.set()

    def on_whole(self, type_url: str) -> None:
        """All of that type has been heard.

        Nothing is saved before that is so of both: a mesh without its policies must not be what a restarted agent
        knows.
        """
        self._heard.add(type_url)
        if self._heard.issuperset(_TYPES) and not self.synchronised.is_set():
            self.synchronised.set()
            self._unsaved.set()

    async def run(self) -> None:
        """Saves what was heard, soon after it changed."""
        while True:
            await self._unsaved.wait()
            self._unsaved.clear()
            kept = tuple(
                _Kept(each.type_url, each.name, each.version, each.body, tuple(each.aliases))
                for type_url in _TYPES
                for each in self._cache.snapshot(type_url)
            )
            await asyncio.to_thread(_replace, self._path, kept)
            await asyncio.sleep(_SAVE_EVERY_SECONDS)

    def _take(self, type_url: str, added: Iterable[Resource], removed: Iterable[str]) -> None:
        if type_url == istio.AUTHORIZATION:
            for resource in added:
                self._view.put_policy(_decode(decode_policy, resource))
            for name in removed:
                self._view.remove_policy(name)
            self._changed(frozenset(), True)
            return
        touched: set[str] = set()
        for resource in added:
            touched |= self._view.put(_decode(decode_address, resource))
        for name in removed:
            touched |= self._view.remove(name)
        self._changed(frozenset(touched), False)


def _decode(decoder: Callable[[bytes], Decoded], resource: Resource) -> Decoded:
    try:
        return decoder(resource.body)
    except InvalidMessage as error:
        raise InvalidResource(resource.name, str(error)) from error


def _replace(path: Path, kept: tuple[_Kept, ...]) -> None:
    started = time.monotonic()
    draft = path.with_suffix(".new")
    draft.write_bytes(msgspec.msgpack.encode(kept))
    draft.replace(path)
    _log.debug("mesh.saved", resources=len(kept), seconds=round(time.monotonic() - started, 3))
