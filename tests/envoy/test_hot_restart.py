from __future__ import annotations

import socket
from pathlib import Path

import pytest

from sidestep.envoy.bootstrap import SocketPathTooLongError
from sidestep.envoy.hot_restart import HotRestartFiles


@pytest.fixture
def files(tmp_path: Path) -> HotRestartFiles:
    memory = tmp_path / "shm"
    memory.mkdir()
    return HotRestartFiles(tmp_path, shared_memory=memory)


def test_a_decoy_takes_the_messages_of_the_one_it_stands_for(files: HotRestartFiles) -> None:
    path = files.parent_socket(7, 4)
    assert path.name == "hot_parent_71"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as real:
        real.bind(str(path))
        with files.place_decoy(7, 4) as decoy, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"terminate", str(path))
            assert decoy.recv(100) == b"terminate"
        real.setblocking(False)
        with pytest.raises(BlockingIOError):
            real.recv(100)


def test_memory_is_given_back_under_a_new_inode(files: HotRestartFiles) -> None:
    path = files.memory(7)
    path.write_bytes(b"before")
    saved = files.save_memory(7)
    with path.open("r+b") as mapped:
        mapped.write(b"marked")
        mapped.flush()
        files.restore_memory(7, saved)
        assert path.read_bytes() == b"before"
        assert path.stat().st_mode & 0o777 == 0o600
        mapped.seek(0)
        assert mapped.read() == b"marked"
    assert [found.name for found in path.parent.iterdir()] == ["envoy_shared_memory_70"]


def test_remove_takes_one_chain_and_leaves_the_other(files: HotRestartFiles, tmp_path: Path) -> None:
    for base_id in (7, 8):
        files.memory(base_id).touch()
        for epoch in range(3):
            files.parent_socket(base_id, epoch).touch()
    (tmp_path / "hot_udp_child_71").touch()
    files.remove(7)
    files.remove(7)
    left = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["envoy_shared_memory_80", "hot_parent_80", "hot_parent_81", "hot_parent_82"]


def test_a_long_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SocketPathTooLongError):
        HotRestartFiles(tmp_path / ("x" * 90))
