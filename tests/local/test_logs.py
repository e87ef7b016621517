from itertools import islice
from pathlib import Path

from sidestep.local.logs import bound, follow, last_line, read


def test_a_large_log_keeps_its_end(tmp_path: Path) -> None:
    log = tmp_path / "pods" / "main.log"
    log.parent.mkdir()
    log.write_bytes(b"0123456789")
    with log.open("ab") as writer:
        bound(tmp_path, maximum=8)
        writer.write(b"new")
    assert log.read_bytes() == b"new"
    assert log.with_suffix(".log.1").read_bytes() == b"6789"


def test_a_small_one_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"12345678")
    bound(tmp_path, maximum=8)
    assert (tmp_path / "a.log").read_bytes() == b"12345678"


def test_read_what_is_not_there(tmp_path: Path) -> None:
    assert list(read(tmp_path / "none.log")) == []


def test_follow_sees_what_is_added_and_what_begins_anew(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    chunks = follow(log, wait=lambda _: None)
    assert next(chunks) == b""
    log.write_bytes(b"one")
    assert next(chunks) == b"one"
    with log.open("ab") as file:
        file.write(b"two")
    assert list(islice(chunks, 2)) == [b"two", b""]
    log.write_bytes(b"x")
    assert next(chunks) == b"x"


def test_the_last_line_is_the_last_that_says_something(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    assert last_line(log) == f"it wrote nothing to {log}"
    log.write_bytes(b"first\nsidestep: no\xff\n\n")
    assert last_line(log) == "sidestep: no\ufffd"
