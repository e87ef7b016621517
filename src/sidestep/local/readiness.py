"""Is a process of the instance ready? Each check gives None, or why not."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

import httpx

from sidestep.local.agent_client import AgentClient
from sidestep.local.errors import LocalError

Check = Callable[[], Awaitable[str | None]]


def page_answers(client: httpx.AsyncClient, url: str) -> Check:
    """A page gives a status below 400."""

    async def check() -> str | None:
        try:
            response = await client.get(url, timeout=2)
        except httpx.HTTPError as error:
            return f"{url}: {error}"
        return None if response.status_code < 400 else f"{url} gave status {response.status_code}"

    return check


def agent_ready(client: AgentClient) -> Check:
    """A node agent says that it and its Envoy are ready."""

    async def check() -> str | None:
        try:
            status = await client.status(timeout=2)
        except LocalError as error:
            return str(error)
        return None if status.ready else status.reason or "it does not say why"

    return check


def free_port(preferred: int) -> int:
    """`preferred` on the loopback address if nobody has it, otherwise one that the kernel picks."""
    for port in (preferred, 0):
        with socket.socket() as candidate:
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                candidate.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(candidate.getsockname()[1])
    return preferred
