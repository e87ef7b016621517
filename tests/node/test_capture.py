"""The capture rules as text; that they capture is shown by the live tests."""

import pytest

from sidestep.node.capture import Mode, ruleset, transaction


@pytest.mark.parametrize("mode", Mode)
def test_one_transaction_replaces_the_whole_table(mode: Mode) -> None:
    text = transaction(mode)
    assert text.startswith("table inet sidestep\ndelete table inet sidestep\ntable inet sidestep {")
    assert text.count("{") == text.count("}")


def test_removal_leaves_nothing() -> None:
    assert transaction(None) == "table inet sidestep\ndelete table inet sidestep\n"


def test_only_new_connections_are_redirected() -> None:
    """A connection that was there before its pod joined must not be touched in the middle."""
    redirects = [line for line in ruleset(Mode.CAPTURE).splitlines() if "redirect to" in line]
    assert redirects
    assert all("== syn" in line or "udp" in line for line in redirects)


def test_draining_redirects_nothing_and_keeps_translating() -> None:
    text = ruleset(Mode.DRAIN)
    assert "redirect to" not in text
    assert "type nat hook output" in text
    assert "type nat hook prerouting" in text


def test_modes_can_be_told_apart_in_the_kernel() -> None:
    comments = {ruleset(mode).splitlines()[1] for mode in Mode}
    assert len(comments) == len(Mode)


@pytest.mark.parametrize("mode", Mode)
def test_ports_of_redirected_connections_cannot_be_dialled(mode: Mode) -> None:
    """Their original destination would be the port itself: the node proxy would dial itself without end."""
    accepted, refused = ruleset(mode).partition("chain guard_input")[2].splitlines()[2:4]
    assert accepted.strip() == "ct status and dnat != 0 accept"
    assert refused.strip().endswith("== syn tcp dport { 15001, 15006 } reject with tcp reset")
