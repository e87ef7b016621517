"""The command prefix that starts Envoy with no more rights than a node proxy needs."""

from __future__ import annotations

import os
import resource
from collections.abc import Sequence
from pathlib import Path

CAPABILITIES = ("net_admin", "net_raw", "sys_admin")
"""NET_ADMIN and NET_RAW: marks, transparent sockets. SYS_ADMIN: setns into a pod's network namespace."""
WANTED_FILES = 1_048_576
_SYS_RESOURCE = 1 << 24
_NR_OPEN = Path("/proc/sys/fs/nr_open")
_STATUS = Path("/proc/self/status")


def confined_prefix(
    *, root: bool | None = None, files: int | None = None, capabilities: Sequence[str] = CAPABILITIES
) -> tuple[str, ...]:
    """A prefix for `EnvoyOptions.command_prefix`: no core dumps, many files, and, for root, few capabilities.

    Everything is set by exec: the process that runs the prefix becomes Envoy. `files` is the limit of open
    files, by default the highest that we may set.
    """
    limit = maximum_files() if files is None else files
    limits = ("prlimit", "--core=0", f"--nofile={limit}:{limit}")
    if not (os.geteuid() == 0 if root is None else root):
        return limits
    # prlimit comes first: raising a limit takes a capability that setpriv then drops
    kept = ",".join(("-all", *(f"+{name}" for name in capabilities)))
    return (*limits, "setpriv", f"--bounding-set={kept}", "--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs")


def maximum_files() -> int:
    """How many open files a process that we start may have at most."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if not _effective_capabilities() & _SYS_RESOURCE:
        return hard
    return max(hard, min(WANTED_FILES, int(_NR_OPEN.read_text())))


def _effective_capabilities() -> int:
    fields = (line.split(":", 1) for line in _STATUS.read_text().splitlines())
    return next(int(value, 16) for name, value in fields if name == "CapEff")
