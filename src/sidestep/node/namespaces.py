"""Running code inside a pod's network namespace."""

from __future__ import annotations

import asyncio
import ctypes
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _enter(path: str) -> None:
    with Path(path).open("rb") as namespace:
        if _libc.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
            error = ctypes.get_errno()
            raise OSError(error, f"cannot enter the network namespace: {os.strerror(error)}", path)


def run_in_namespace(path: str, function: Callable[[], Result]) -> Result:
    """`function()` as seen from the network namespace at `path`.

    setns moves one thread, so it runs in a thread of its own that ends with it; sockets it opens stay in that
    namespace. OSError when the namespace is gone or may not be entered.
    """
    results: list[Result] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            _enter(path)
            results.append(function())
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=body, name="namespace", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


async def in_namespace(path: str, function: Callable[[], Result]) -> Result:
    """`run_in_namespace` without blocking the event loop."""
    return await asyncio.to_thread(run_in_namespace, path, function)
