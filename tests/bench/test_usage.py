from __future__ import annotations

import os
import time

import pytest
from bench.usage import Snapshot
from hypothesis import given
from hypothesis import strategies as st

from bench import usage

TICKS = os.sysconf("SC_CLK_TCK")


@given(st.text(st.characters(blacklist_categories=["Cs"]), max_size=15), st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_process_name_may_contain_anything(name: str, user: int, kernel: int) -> None:
    text = f"42 ({name}) S 1 42 42 0 -1 4194560 1 2 3 4 {user} {kernel} 0 0 20 0 1 0 100 1 1"
    assert usage.parse_process(text) == pytest.approx((user + kernel) / TICKS)


def test_idle_time_and_what_guests_repeat_are_not_work() -> None:
    assert usage.parse_machine("cpu  100 20 30 9999 8888 4 5 6 777 777\ncpu0 1 1\n") == pytest.approx(165 / TICKS)


def test_memory() -> None:
    found = usage.parse_memory("Name:\tx: y\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n")
    assert found == usage.Memory(now=1, peak=2)
    assert usage.parse_memory("Name:\tgone\nState:\tZ (zombie)\n") is None


def test_only_processes_that_lived_through_it_count() -> None:
    before = Snapshot(processes={1: 1.0, 2: 5.0}, children=1.0, machine=10.0)
    after = Snapshot(processes={1: 1.5, 3: 9.0}, children=1.25, machine=12.0)
    assert usage.spent(before, after) == {1: 0.5}
    assert usage.by_others(before, after) == pytest.approx(1.25)


def test_this_process_spends_what_it_burns() -> None:
    pid = os.getpid()
    before = usage.take([pid, 2**22 + 1])
    deadline = time.process_time() + 0.1
    while time.process_time() < deadline:
        pass
    after = usage.take([pid])
    assert set(before.processes) == {pid}
    assert 0.05 < usage.spent(before, after)[pid] < 5
    assert after.machine > before.machine
    memory = usage.memory(pid)
    assert memory is not None
    assert 1 < memory.now <= memory.peak
    assert usage.memory(2**22 + 1) is None
