from pathlib import Path

from sidestep.local.progress import Event, Progress, ProgressReader


def test_another_process_reads_what_is_said(tmp_path: Path) -> None:
    heard: list[Event] = []
    path = tmp_path / "run" / "progress.jsonl"
    reader = ProgressReader(path)
    assert reader.new_events() == ()
    progress = Progress(path, listener=heard.append)
    progress.step("one")
    progress.failed("two", 65)
    assert reader.new_events() == tuple(heard)
    assert (heard[1].kind, heard[1].text, heard[1].code) == ("failed", "two", 65)
    assert reader.new_events() == ()


def test_half_a_line_is_left_for_later(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    Progress(path, listener=lambda _: None).ready("up")
    line = path.read_bytes()
    reader = ProgressReader(path)
    path.write_bytes(line[:-5])
    assert reader.new_events() == ()
    path.write_bytes(line)
    assert [event.text for event in reader.new_events()] == ["up"]


def test_counting_ends_with_being_ready(tmp_path: Path) -> None:
    heard: list[Event] = []
    progress = Progress(tmp_path / "progress.jsonl", listener=heard.append)
    progress.count("1 of 2", complete=False)
    progress.count("2 of 2", complete=True)
    assert [event.kind for event in heard] == ["count", "ready"]
