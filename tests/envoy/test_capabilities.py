from __future__ import annotations

import subprocess

from sidestep.envoy.capabilities import confined_prefix, maximum_files


def test_no_core_dumps_and_many_files() -> None:
    shell = subprocess.run(
        [*confined_prefix(root=False, files=100), "sh", "-c", "ulimit -c; ulimit -n"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shell.stdout.split() == ["0", "100"]


def test_the_limit_is_one_that_can_be_set() -> None:
    prefix = confined_prefix(root=False)
    assert f"--nofile={maximum_files()}:{maximum_files()}" in prefix
    subprocess.run([*prefix, "true"], check=True)


def test_root_keeps_three_capabilities() -> None:
    prefix = confined_prefix(root=True, files=100)
    assert "--bounding-set=-all,+net_admin,+net_raw,+sys_admin" in prefix
    # raising the limit takes a capability that is dropped
    assert prefix.index("--nofile=100:100") < prefix.index("setpriv")
