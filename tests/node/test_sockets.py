"""Tables of sockets in /proc/net."""

from hypothesis import given
from hypothesis import strategies as st

from sidestep.node.sockets import ESTABLISHED, LISTENING, Socket, parse

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:3AA0 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 20391 1
   1: 0500F40A:3AA0 0600F40A:C001 01 00000000:00000000 00:00000000 00000000     0        0 20399 1
"""


def test_states_and_ports() -> None:
    assert list(parse(TABLE)) == [
        Socket(local_port=15008, remote_port=0, state=LISTENING),
        Socket(local_port=15008, remote_port=0xC001, state=ESTABLISHED),
    ]


@given(st.text())
def test_any_text_can_be_a_table(text: str) -> None:
    assert all(isinstance(each, Socket) for each in parse(text))
