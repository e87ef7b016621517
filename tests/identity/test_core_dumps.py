"""Core dumps are off for a process and for what it starts."""

import subprocess
import sys

SCRIPT = """
import subprocess
from sidestep.identity.core_dumps import forbid_core_dumps
forbid_core_dumps()
print(open("/proc/self/limits").read().split("Max core file size")[1].splitlines()[0].split()[:2])
print(subprocess.run(["cat", "/proc/self/coredump_filter"], capture_output=True, text=True, check=True).stdout.strip())
"""


def test_neither_a_file_nor_a_pipe_gets_memory() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["['0', '0']", "00000000"]
