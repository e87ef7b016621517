"""Client of Envoy's admin interface over its Unix socket."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec
from google.protobuf import json_format

from sidestep.envoy.errors import AdminError
from sidestep.wire._pb.envoy.admin.v3.clusters_pb2 import Clusters

MAXIMUM_ANSWER_SECONDS = 5.0


class _CommandLine(msgspec.Struct, frozen=True):
    restart_epoch: int = 0
    base_id: int | str = 0


class ServerInfo(msgspec.Struct, frozen=True):
    """What `/server_info` says, as far as we use it."""

    state: str
    """LIVE once it serves; before that PRE_INITIALIZING or INITIALIZING; DRAINING after a health check failure."""
    version: str = ""
    hot_restart_version: str = ""
    uptime_current_epoch: str = ""
    command_line_options: _CommandLine = _CommandLine()

    @property
    def epoch(self) -> int:
        """Number of the process in its chain of hand-overs."""
        return self.command_line_options.restart_epoch

    @property
    def base_id(self) -> int:
        """Names the chain."""
        return int(self.command_line_options.base_id)


class Memory(msgspec.Struct, frozen=True):
    """What `/memory` says, in bytes."""

    allocated: int
    heap_size: int


class AdminClient:
    """Asks the Envoy whose admin interface listens at `socket`. Every method raises `AdminError`.

    After a hand-over the new Envoy answers at the same path, and the old one nowhere. The socket is open to its
    owner alone: `curl --unix-socket PATH http://localhost/help` as that user.
    """

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        # connections are not kept: after a hand-over a kept one would still lead to the old Envoy
        transport = httpx.AsyncHTTPTransport(uds=str(socket), limits=httpx.Limits(max_keepalive_connections=0))
        self._client = httpx.AsyncClient(
            transport=transport, base_url="http://envoy", timeout=MAXIMUM_ANSWER_SECONDS, trust_env=False
        )

    async def close(self) -> None:
        """Close the client."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def server_info(self) -> ServerInfo:
        """Who answers, and in which state it is."""
        try:
            return msgspec.json.decode(await self._get("/server_info"), type=ServerInfo)
        except msgspec.DecodeError as error:
            raise AdminError(f"{self.socket}: /server_info: {error}") from error

    async def is_ready(self) -> bool:
        """True if it serves with its first configuration. False also if nobody answers."""
        try:
            return (await self._client.get("/ready")).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    async def clusters(self) -> Clusters:
        """Clusters with their endpoints' health and statistics."""
        return json_format.Parse(await self._get("/clusters", format="json"), Clusters(), ignore_unknown_fields=True)

    async def config_dump(self, resource: str = "", *, endpoints: bool = False) -> dict[str, Any]:
        """The configuration in force, with secrets redacted by Envoy; `resource` picks one list of it."""
        parameters = {"resource": resource} if resource else {}
        if endpoints:
            parameters["include_eds"] = ""
        dump: dict[str, Any] = json.loads(await self._get("/config_dump", **parameters))
        return dump

    async def prometheus(self, *, used_only: bool = True) -> bytes:
        """All statistics as Prometheus text."""
        return await self._get("/stats/prometheus", **({"usedonly": ""} if used_only else {}))

    async def stats(self, pattern: str = "") -> dict[str, int]:
        """Counters and gauges whose names match the regular expression `pattern`."""
        parameters = {"filter": pattern} if pattern else {}
        answer = json.loads(await self._get("/stats", format="json", type="All", **parameters))
        return {item["name"]: item["value"] for item in answer["stats"] if isinstance(item.get("value"), int)}

    async def memory(self) -> Memory:
        """Memory in use."""
        return msgspec.convert(json.loads(await self._get("/memory")), Memory, strict=False)

    async def drain_listeners(self) -> None:
        """Ask clients to go elsewhere and then stop listening."""
        await self._post("/drain_listeners", graceful="")

    async def set_log_level(self, level: str) -> None:
        """Log level of all components: trace, debug, info, warning, error, critical or off."""
        await self._post("/logging", level=level)

    async def _get(self, path: str, **parameters: str) -> bytes:
        return await self._ask("GET", path, parameters)

    async def _post(self, path: str, **parameters: str) -> bytes:
        return await self._ask("POST", path, parameters)

    async def _ask(self, method: str, path: str, parameters: dict[str, str]) -> bytes:
        try:
            response = await self._client.request(method, path, params=parameters)
        except httpx.TransportError as error:
            raise AdminError(f"{self.socket}: {path}: no answer: {error!r}") from error
        if response.status_code != httpx.codes.OK:
            raise AdminError(f"{self.socket}: {path}: {response.status_code}: {response.text.strip()[:500]}")
        return response.content
