"""The time, as Kubernetes writes it."""

from __future__ import annotations

import time

from sidestep.local.pod_status import timestamp


def now() -> str:
    return timestamp(time.time())
