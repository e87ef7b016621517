"""What the agent tells over xDS: the mesh, and which pods are captured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sidestep.mesh.wds import InvalidMessage, decode_address
from sidestep.node.dns.captures import Capture, Captures
from sidestep.node.dns.directory import Directory
from sidestep.wire import agent, istio
from sidestep.xds.client import InvalidResource
from sidestep.xds.resource import Resource


class Feed:
    """Handler of the delta client. What was heard last stays in force when the agent is gone."""

    def __init__(self, directory: Directory, captures: Captures) -> None:
        self._directory = directory
        self._captures = captures
        self._is_mesh_known = False
        self._waiting: dict[str, Capture] = {}

    async def on_update(self, type_url: str, added: Sequence[Resource], removed: Sequence[str], first: bool) -> None:
        """InvalidResource for the first one that cannot be read; all others are in force all the same."""
        del first
        if type_url == istio.ADDRESS:
            refused = self._take_mesh(added, removed)
            if not self._is_mesh_known:
                # Nobody is answered before the mesh is known: a name would not exist that does.
                self._is_mesh_known = True
                for capture in self._waiting.values():
                    await self._captures.put(capture)
                self._waiting.clear()
        elif type_url == agent.POD_CAPTURE:
            refused = await self._take_captures(added, removed)
        else:
            raise ValueError(f"never subscribed to {type_url}")
        if refused:
            raise refused[0]

    def _take_mesh(self, added: Iterable[Resource], removed: Iterable[str]) -> list[InvalidResource]:
        refused: list[InvalidResource] = []
        for name in removed:
            self._directory.remove(name)
        for resource in added:
            try:
                self._directory.put(decode_address(resource.body))
            except InvalidMessage as error:
                refused.append(InvalidResource(resource.name, str(error)))
        return refused

    async def _take_captures(self, added: Iterable[Resource], removed: Iterable[str]) -> list[InvalidResource]:
        refused: list[InvalidResource] = []
        for name in removed:
            self._waiting.pop(name, None)
            await self._captures.remove(name)
        for resource in added:
            try:
                capture = Capture.from_wire(resource.name, resource.body)
            except ValueError as error:
                refused.append(InvalidResource(resource.name, str(error)))
                continue
            if self._is_mesh_known:
                await self._captures.put(capture)
            else:
                self._waiting[capture.name] = capture
        return refused
