"""What a chain of hand-overs leaves in the file system: message sockets and shared memory.

Facts of Envoy 1.40 that this rests on, all found by trying:

- A new Envoy of epoch n talks to epoch n-1 through a datagram socket at `<path>_parent_<10 * base id + epoch % 3>`.
- When epoch n+1 appears, epoch n at once tells epoch n-1 to terminate, however many connections that one has. If
  nobody receives this at the path, epoch n aborts after 15 s. So before a hand-over a *decoy* takes the place of
  epoch n-1's socket: the message arrives, and nothing comes of it. Any number of generations can live that way.
- An Envoy that merges its parent's statistics hangs and aborts when the parent has ended: never start one without
  `--skip-hot-restart-parent-stats`, nor with a parent shutdown time that is ever reached.
- A new Envoy that dies while it initializes leaves a flag in the shared memory, and no other Envoy of the chain
  starts after it ("previous envoy process is still initializing"). A copy of the memory from before helps.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

from sidestep.envoy.bootstrap import check_socket_path

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  where shm_open puts it
_EPOCHS = 3
_KINDS = ("parent", "child", "udp_parent", "udp_child")


class HotRestartFiles:
    """The files of the chains of one folder."""

    def __init__(self, folder: Path, *, shared_memory: Path = SHARED_MEMORY) -> None:
        self.socket_path = folder / "hot"
        """For `--socket-path`. A path, since any process of the network namespace can reach an abstract socket."""
        self._shared_memory = shared_memory
        check_socket_path(Path(f"{self.socket_path}_udp_parent_{2**32}"))

    def parent_socket(self, base_id: int, epoch: int) -> Path:
        """Where the Envoy of `epoch` takes messages from the next one."""
        return self._socket("parent", base_id, epoch)

    def place_decoy(self, base_id: int, epoch: int) -> socket.socket:
        """Take messages in the place of the Envoy of `epoch`; the caller keeps and closes the socket."""
        path = self.parent_socket(base_id, epoch)
        path.unlink(missing_ok=True)
        decoy = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            decoy.bind(str(path))
        except OSError:
            decoy.close()
            raise
        return decoy

    def memory(self, base_id: int) -> Path:
        """The shared memory of a chain."""
        return self._shared_memory / f"envoy_shared_memory_{10 * base_id}"

    def save_memory(self, base_id: int) -> bytes:
        """Its content, to be put back by `restore_memory` if the hand-over fails."""
        return self.memory(base_id).read_bytes()

    def restore_memory(self, base_id: int, content: bytes) -> None:
        """Give the next Envoy of the chain a new memory; the running ones keep the old one mapped."""
        path = self.memory(base_id)
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        temporary.touch(mode=0o600)
        temporary.write_bytes(content)
        temporary.replace(path)

    def remove(self, base_id: int) -> None:
        """Remove what a chain left, once none of its processes lives."""
        for path in (self.memory(base_id), *self._sockets(base_id)):
            path.unlink(missing_ok=True)

    def _sockets(self, base_id: int) -> Iterator[Path]:
        for kind in _KINDS:
            for epoch in range(_EPOCHS):
                yield self._socket(kind, base_id, epoch)

    def _socket(self, kind: str, base_id: int, epoch: int) -> Path:
        return Path(f"{os.fspath(self.socket_path)}_{kind}_{10 * base_id + epoch % _EPOCHS}")
