import os
from pathlib import Path

import pytest

from sidestep.identity.errors import AuthorityError
from sidestep.identity.files import read_secret, write_atomically


def test_writes_with_the_mode_asked_for_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    write_atomically(path, b"one", mode=0o600)
    write_atomically(path, b"two", mode=0o600)
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
    assert read_secret(path, what="a secret") == b"two"


def test_a_failed_write_keeps_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "directory"
    path.mkdir()
    with pytest.raises(OSError):
        write_atomically(path, b"one")
    assert list(tmp_path.iterdir()) == [path]


def test_refuses_what_is_no_private_regular_file(tmp_path: Path) -> None:
    with pytest.raises(AuthorityError, match="cannot be read: No such file"):
        read_secret(tmp_path / "none", what="a secret")
    with pytest.raises(AuthorityError, match="not a regular file"):
        read_secret(tmp_path, what="a secret")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o600)
    with pytest.raises(AuthorityError, match="not a regular file"):
        read_secret(fifo, what="a secret")
