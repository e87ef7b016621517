from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestep.envoy.state import Record, State, StateFile

records = st.builds(
    Record,
    pid=st.integers(1, 2**22),
    started=st.integers(0, 2**60),
    base_id=st.integers(1, 2**31),
    epoch=st.integers(0, 1000),
    replaced_at=st.none() | st.floats(0, 1e11),
    live=st.booleans(),
    successor=st.booleans(),
)


@given(st.lists(records, min_size=1))
def test_what_is_saved_is_loaded(tmp_path_factory: pytest.TempPathFactory, found: list[Record]) -> None:
    file = StateFile(tmp_path_factory.getbasetemp() / "envoy.json")
    state = State(records=tuple(found))
    file.save(state)
    assert file.load() == state


def test_nothing_saved_and_nothing_left(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "envoy.json")
    assert file.load() == State()
    file.save(State(records=(Record(pid=1, started=2, base_id=3, epoch=0),)))
    file.save(State())
    assert list(tmp_path.iterdir()) == []


@given(st.binary())
def test_whatever_the_file_holds_it_loads(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "broken.json"
    path.write_bytes(content)
    assert isinstance(StateFile(path).load(), State)
