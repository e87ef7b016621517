"""What the runtime needs of the host."""

from __future__ import annotations

import os
import shutil
import sys

from sidestep.local.errors import NoPermissionError, UnavailableError

_PROGRAMS = {"nft": "nftables", "nsenter": "util-linux", "unshare": "util-linux", "mount": "mount", "ip": "iproute2"}


def check() -> None:
    """Raise one sentence that says what is missing and how to get it."""
    if sys.platform != "linux":
        raise NoPermissionError(
            f"the local runtime needs Linux: it is made of network namespaces; this is {sys.platform}"
        )
    if os.geteuid() != 0:
        raise NoPermissionError("the local runtime makes network namespaces, which only root may: run it as root")
    missing = {program: package for program, package in _PROGRAMS.items() if shutil.which(program) is None}
    if missing:
        packages = " ".join(sorted(set(missing.values())))
        raise UnavailableError(f"{', '.join(missing)} not found: on Debian, `apt-get install {packages}`")
