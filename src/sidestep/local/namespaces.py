"""Network namespaces by name, as `ip netns` keeps them in /run/netns.

A namespace belongs to a thread, so each call here that enters or makes one does it on a thread of its own, which
ends with it. Nothing forks.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from sidestep.local.errors import OperatingSystemError

FOLDER = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_MS_BIND = 4096
_MNT_DETACH = 2

Result = TypeVar("Result")
_libc = ctypes.CDLL(None, use_errno=True)


def path_of(name: str) -> Path:
    """Where the namespace is bound."""
    return FOLDER / name


def run_in(name: str, function: Callable[[], Result]) -> Result:
    """Run `function` on a thread inside the namespace; blocks until it returns."""

    def enter() -> Result:
        with path_of(name).open("rb") as handle:
            _check(_libc.setns(handle.fileno(), _CLONE_NEWNET), f"enter the network namespace {name}")
        return function()

    return _on_thread(enter)


def create(name: str) -> bool:
    """Make the namespace; False if it is there already."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = path_of(name)
    if _is_bound(path):
        return False

    def make() -> None:
        path.touch(mode=0o444)
        _check(_libc.unshare(_CLONE_NEWNET), "make a network namespace")
        source = f"/proc/self/task/{threading.get_native_id()}/ns/net"
        result = _libc.mount(source.encode(), bytes(path), b"none", _MS_BIND, None)
        _check(result, f"bind the network namespace {name}")

    try:
        _on_thread(make)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return True


def remove(name: str) -> None:
    """Take the name away; the kernel frees the namespace with the last process in it. Missing: nothing to do."""
    path = path_of(name)
    while _is_bound(path):
        _check(_libc.umount2(bytes(path), _MNT_DETACH), f"unmount the network namespace {name}")
    path.unlink(missing_ok=True)


def with_prefix(prefix: str) -> tuple[str, ...]:
    """Names of the namespaces that start so."""
    if not FOLDER.is_dir():
        return ()
    return tuple(sorted(entry.name for entry in FOLDER.iterdir() if entry.name.startswith(prefix)))


def inode(name: str) -> int | None:
    """The number by which `/proc/PID/ns/net` names it; None if there is no such namespace."""
    try:
        return path_of(name).stat().st_ino
    except FileNotFoundError:
        return None


def processes_in(names: Iterable[str]) -> frozenset[int]:
    """Pids of all processes inside any of the namespaces."""
    wanted = {number for name in names if (number := inode(name)) is not None}
    found: set[int] = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if (entry / "ns/net").stat().st_ino in wanted:
                    found.add(int(entry.name))
    return frozenset(found)


def _is_bound(path: Path) -> bool:
    """A bare file may be left of a namespace whose maker was killed; a bound one is on another device."""
    return path.exists() and path.stat().st_dev != FOLDER.stat().st_dev


def _on_thread(function: Callable[[], Result]) -> Result:
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001 - raised again on the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, name="network-namespace")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _check(result: int, purpose: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OperatingSystemError(f"cannot {purpose}: {os.strerror(number)}")
