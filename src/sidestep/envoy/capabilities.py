"""The command prefix that starts Envoy with no more rights than a node proxy needs."""

from __future__ import annotations

import os
from pathlib import Path

CAPABILITIES = ("net_admin", "net_raw", "sys_admin")
"""NET_ADMIN and NET_RAW: marks, transparent sockets. SYS_ADMIN: setns into a pod's network namespace."""
WANTED_FILES = 1_048_576
_NR_OPEN = Path("/proc/sys/fs/nr_open")


def confined_prefix(*, root: bool | None = None, wanted_files: int = WANTED_FILES) -> tuple[str, ...]:
    """A prefix for `EnvoyOptions.command_prefix`: no core dumps, many files, and, for root, three capabilities.

    Everything is set by exec: the process that runs the prefix becomes Envoy.
    """
    if root is None:
        root = os.geteuid() == 0
    if not root:
        return ("prlimit", "--core=0")
    files = min(wanted_files, int(_NR_OPEN.read_text()))
    # prlimit comes first: raising the limit takes a capability that setpriv then drops
    kept = ",".join(("-all", *(f"+{name}" for name in CAPABILITIES)))
    return (
        "prlimit",
        "--core=0",
        f"--nofile={files}:{files}",
        "setpriv",
        f"--bounding-set={kept}",
        "--inh-caps=-all",
        "--ambient-caps=-all",
        "--no-new-privs",
    )
