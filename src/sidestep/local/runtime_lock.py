"""Only one runtime a state folder."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from sidestep.local.errors import UnavailableError
from sidestep.local.layout import Layout


@contextmanager
def only_runtime(layout: Layout) -> Iterator[None]:
    """Hold the state folder's lock; the kernel gives it back when we die, however that happens."""
    layout.run.mkdir(parents=True, exist_ok=True)
    with layout.runtime_lock.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UnavailableError(
                f"a mesh with the state folder {layout.state_dir} is up already; `sidestep apply -f` adds to it, "
                "`sidestep down` ends it"
            ) from error
        yield


def is_running(layout: Layout) -> bool:
    """True if a runtime holds the state folder's lock."""
    try:
        with layout.runtime_lock.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    except FileNotFoundError:
        return False
    return False
