"""One hand-over: a successor starts, takes the listening sockets of the running Envoy, and serves.

Until the successor serves, everything can be undone, and the running Envoy goes on.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from sidestep.envoy.errors import RestartFailedError, RestartRefusedError
from sidestep.envoy.generations import Generation, Generations

_POLL_SECONDS = 0.02
_KILL_SECONDS = 2.0

IsLive = Callable[[Generation], Awaitable[bool]]


async def hand_over(generations: Generations, old: Generation, is_live: IsLive, *, seconds: float) -> Generation:
    """Replace `old` by a new Envoy, which is returned once it serves. Raises `RestartFailedError` after `seconds`."""
    try:
        saved = generations.files.save_memory(old.record.base_id)
    except FileNotFoundError as error:
        raise RestartRefusedError(f"the running Envoy's shared memory is gone: {error.filename}") from error
    with _decoy(generations, old):
        new = generations.start(old)
        await _finish(generations, old, new, is_live, seconds=seconds, saved=saved)
    return new


async def resume(
    generations: Generations, old: Generation | None, new: Generation, is_live: IsLive, *, seconds: float
) -> None:
    """Finish a hand-over whose supervisor died in the midst of it."""
    if old is None:
        # it serves already if the old one ended after the hand-over, and otherwise never will
        if not await is_live(new):
            await _kill(new)
            raise RestartFailedError("the Envoy that was to be replaced has ended")
        generations.promote(new)
        return
    with _decoy(generations, old):
        await _finish(generations, old, new, is_live, seconds=seconds, saved=None)


async def _finish(
    generations: Generations,
    old: Generation,
    new: Generation,
    is_live: IsLive,
    *,
    seconds: float,
    saved: bytes | None,
) -> None:
    try:
        await _until_live(old, new, is_live, deadline=time.monotonic() + seconds)
    except BaseException:
        await _kill(new)
        generations.forget(new)
        if saved is not None and not old.process.has_ended:
            generations.files.restore_memory(old.record.base_id, saved)
        raise
    generations.promote(new, instead_of=old)


async def _until_live(old: Generation, new: Generation, is_live: IsLive, *, deadline: float) -> None:
    while not await is_live(new):
        if new.process.has_ended:
            raise RestartFailedError(
                f"the new Envoy ended, its log says why; the old one, pid {old.record.pid}, serves on"
            )
        if old.process.has_ended:
            # a successor without its parent waits for an answer that never comes
            raise RestartFailedError("the running Envoy died while another was taking over; a fresh one is started")
        if time.monotonic() > deadline:
            raise RestartFailedError(
                f"the new Envoy was not ready in time; the old one, pid {old.record.pid}, serves on"
            )
        await asyncio.sleep(_POLL_SECONDS)


async def _kill(generation: Generation) -> None:
    generation.process.send(signal.SIGKILL)
    async with asyncio.timeout(_KILL_SECONDS):
        await generation.process.wait()


@contextmanager
def _decoy(generations: Generations, old: Generation) -> Iterator[None]:
    """Keep `old` from ending the Envoy that it had itself replaced; see `hot_restart`."""
    if old.record.epoch == 0:
        yield
        return
    with generations.files.place_decoy(old.record.base_id, old.record.epoch - 1):
        yield
