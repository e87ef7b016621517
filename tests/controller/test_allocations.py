from pathlib import Path

from sidestep.controller.allocations import AllocationFile


def test_survives_a_restart_and_writes_only_changes(tmp_path: Path) -> None:
    path = tmp_path / "allocations.json"
    file = AllocationFile(path)
    assert file.load() == {}
    file.save({"b": "240.240.0.2", "a": "240.240.0.1"})
    assert AllocationFile(path).load() == {"a": "240.240.0.1", "b": "240.240.0.2"}
    first = path.stat().st_ino
    file.save({"a": "240.240.0.1", "b": "240.240.0.2"})
    assert path.stat().st_ino == first


def test_a_broken_file_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "allocations.json"
    for broken in (b"{", b"[]", b'{"a": 1}', b"\xff"):
        path.write_bytes(broken)
        assert AllocationFile(path).load() == {}
        assert (tmp_path / "allocations.broken").read_bytes() == broken
        assert not path.exists()
