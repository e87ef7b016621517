"""Keys live in the memory of the agent, its Envoy and the controller: what a crash writes to a disk holds none."""

from __future__ import annotations

import resource
from pathlib import Path

_FILTER = Path("/proc/self/coredump_filter")


def forbid_core_dumps() -> None:
    """No core file of this process, nor of those that it starts from now on.

    The limit does not hold where the kernel pipes cores to a program (core(5)); that program gets one without any
    memory. PR_SET_DUMPABLE would do the same, but hides the process from a root without CAP_SYS_PTRACE as well.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if _FILTER.exists():
        _FILTER.write_text("0")
