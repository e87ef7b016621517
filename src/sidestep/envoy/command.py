"""Envoy's command line. Pure."""

from __future__ import annotations

from pathlib import Path

from sidestep.envoy.options import EnvoyOptions

_NEVER = 2**32 - 1


def command(options: EnvoyOptions, *, bootstrap: Path, socket_path: Path, base_id: int, epoch: int) -> tuple[str, ...]:
    """The command that starts the Envoy of `epoch` in the chain `base_id`; see `hot_restart` for the reasons."""
    flags = {
        "-c": bootstrap,
        "--base-id": base_id,
        "--restart-epoch": epoch,
        "--socket-path": socket_path,
        "--socket-mode": "600",
        # clients of a replaced Envoy, or of a removed listener, are asked to go at once and never made to
        "--drain-strategy": "immediate",
        "--drain-time-s": int(options.parent_shutdown_seconds),
        # the supervisor ends a replaced Envoy
        "--parent-shutdown-time-s": _NEVER,
        "--concurrency": options.concurrency,
        "--log-level": options.log_level,
        # access logs are read while they are written, by people and by outlier detection
        "--file-flush-interval-msec": 250,
    }
    words = [str(word) for flag in flags.items() for word in flag]
    return (*options.command_prefix, str(options.binary), *words, "--skip-hot-restart-parent-stats")
