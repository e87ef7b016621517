from __future__ import annotations

from pathlib import Path

from sidestep.envoy.command import command
from sidestep.envoy.options import EnvoyOptions
from sidestep.wire import envoy as pb


def test_the_command_line() -> None:
    options = EnvoyOptions(
        binary=Path("/bin/envoy"),
        bootstrap=pb.Bootstrap(),
        folder=Path("/f"),
        log_path=Path("/l"),
        command_prefix=("nsenter", "--net=/n"),
        parent_shutdown_seconds=60,
    )
    words = command(options, bootstrap=Path("/f/b.pb"), socket_path=Path("/f/hot"), base_id=5, epoch=2)
    assert words[:3] == ("nsenter", "--net=/n", "/bin/envoy")
    flags = dict(zip(words[3::2], words[4::2], strict=False))
    assert flags["--base-id"] == "5"
    assert flags["--restart-epoch"] == "2"
    assert flags["--drain-strategy"] == "immediate"
    assert flags["--drain-time-s"] == "60"
    # a new Envoy that outlives the old one aborts when either of these comes to pass
    assert int(flags["--parent-shutdown-time-s"]) > 10**9
    assert words[-1] == "--skip-hot-restart-parent-stats"
