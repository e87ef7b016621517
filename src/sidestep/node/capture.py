"""Capture of a pod's traffic: nftables rules and policy routing inside the pod's own network namespace.

One table, `inet sidestep`, replaced as a whole in one transaction. Only packets that open a TCP connection are
redirected, so connections that were there before the pod joined go on as they are.

Marks are Istio ambient's: packets of the node proxy carry 0x539 and are never captured; a connection that the node
proxy opened towards the application is remembered by conntrack mark 0x111, and the application's replies get that
mark back, which routes them to the node proxy's transparent socket instead of out of the pod.

15001 and 15006 are for redirected connections only. One that was dialled would be its own original destination: the
node proxy would dial itself, without end.
"""

from __future__ import annotations

import enum
import hashlib
import subprocess

from sidestep.node.namespaces import run_in_namespace

PROXY_MARK = 0x539
CONNECTION_MARK = 0x111
MARK_MASK = 0xFFF
RULE_PRIORITY = 32764
ROUTE_TABLE = 100
TABLE = "sidestep"

_AF_INET, _AF_INET6 = 2, 10
_ROUTE_TYPE_LOCAL = 2


class CaptureError(Exception):
    """The kernel refused the capture rules; the message says which and the likely cause."""


class Mode(enum.Enum):
    """CAPTURE: new connections and DNS go to the node proxy. DRAIN: only what is already proxied does."""

    CAPTURE = "capture"
    DRAIN = "drain"


_BASE = """
    chain mark_prerouting {
        type filter hook prerouting priority mangle; policy accept;
        meta mark and 0xfff == 0x539 ct mark set ct mark and 0xfffff000 or 0x111
    }
    chain mark_output {
        type route hook output priority mangle; policy accept;
        ct mark and 0xfff == 0x111 meta mark set ct mark
    }
    chain zone_output {
        type filter hook output priority raw; policy accept;
        meta mark and 0xfff == 0x539 udp dport 53 ct zone set 1
    }
    chain zone_prerouting {
        type filter hook prerouting priority raw; policy accept;
        meta mark and 0xfff != 0x539 udp sport 53 ct zone set 1
    }
    chain guard_input {
        type filter hook input priority filter; policy accept;
        ct status and dnat != 0 accept
        tcp flags and (fin | syn | rst | ack) == syn tcp dport { 15001, 15006 } reject with tcp reset
    }
"""

_CAPTURE = """
    chain redirect_output {
        type nat hook output priority -100; policy accept;
        meta mark and 0xfff == 0x539 accept
        meta mark and 0xfff == 0x111 accept
        oifname "lo" accept
        ip daddr 127.0.0.0/8 accept
        ip6 daddr ::1 accept
        udp dport 53 redirect to :15053
        tcp flags and (fin | syn | rst | ack) == syn tcp dport 53 redirect to :15053
        tcp flags and (fin | syn | rst | ack) == syn redirect to :15001
    }
    chain redirect_prerouting {
        type nat hook prerouting priority dstnat; policy accept;
        meta mark and 0xfff == 0x539 accept
        iifname "lo" accept
        tcp dport 15008 accept
        tcp flags and (fin | syn | rst | ack) == syn redirect to :15006
    }
"""

# A NAT chain without rules keeps the kernel translating the connections that were redirected before.
_DRAIN = """
    chain redirect_output {
        type nat hook output priority -100; policy accept;
    }
    chain redirect_prerouting {
        type nat hook prerouting priority dstnat; policy accept;
    }
"""


def ruleset(mode: Mode) -> str:
    """The table for `mode`, as nft reads it; its comment names its content, so that equal rules are recognised."""
    chains = _BASE + (_CAPTURE if mode is Mode.CAPTURE else _DRAIN)
    digest = hashlib.sha256(chains.encode()).hexdigest()[:12]
    return f'table inet {TABLE} {{\n    comment "sidestep {mode.value} {digest}"\n{chains}}}\n'


def transaction(mode: Mode | None) -> str:
    """One nft transaction that replaces the table, or removes it when `mode` is None."""
    fresh = f"table inet {TABLE}\ndelete table inet {TABLE}\n"
    return fresh if mode is None else fresh + ruleset(mode)


def prepare() -> None:
    """Loads what the first capture would otherwise wait for."""
    import pyroute2  # noqa: F401


def apply_guard(network_namespace: str) -> None:
    """Protects the node proxy's ports before they listen. A pod that has rules keeps them.

    CaptureError when nft refuses, OSError when the namespace is gone. Blocks for some milliseconds.
    """

    def change() -> None:
        if not _list_table():
            _nft("-f", "-", given=transaction(Mode.DRAIN))

    run_in_namespace(network_namespace, change)


def apply_capture(network_namespace: str, mode: Mode) -> None:
    """Puts `mode` into force. Rules that are in force already are left untouched.

    CaptureError when nft refuses, OSError when the namespace is gone. Blocks for some milliseconds.
    """

    def change() -> None:
        _route_replies(present=True)
        if _comment(mode) not in _list_table():
            _nft("-f", "-", given=transaction(mode))

    run_in_namespace(network_namespace, change)


def remove_capture(network_namespace: str) -> None:
    """Leaves nothing of ours in the namespace; nothing to do is no error."""

    def change() -> None:
        _nft("-f", "-", given=transaction(None))
        _route_replies(present=False)

    run_in_namespace(network_namespace, change)


def _comment(mode: Mode) -> str:
    return ruleset(mode).splitlines()[1].strip()


def _list_table() -> str:
    done = subprocess.run(
        ["nft", "-s", "list", "table", "inet", TABLE], capture_output=True, text=True, check=False, timeout=10
    )
    return done.stdout


def _nft(*arguments: str, given: str | None = None) -> str:
    try:
        done = subprocess.run(["nft", *arguments], input=given, capture_output=True, text=True, check=False, timeout=10)
    except FileNotFoundError as error:
        raise CaptureError("nft is not installed: apt-get install nftables") from error
    if done.returncode != 0:
        raise CaptureError(f"nft refused the capture rules: {done.stderr.strip()}")
    return done.stdout


def _route_replies(*, present: bool) -> None:
    """`fwmark 0x111/0xfff lookup 100` and `local default dev lo table 100`, for IPv4 and IPv6."""
    # A third of a second, which the first pod's enrolment is spared by `prepare`, and a restarted agent's start too.
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    with IPRoute() as netlink:
        loopback = netlink.link_lookup(ifname="lo")[0]
        netlink.link("set", index=loopback, state="up")
        for family, anywhere in ((_AF_INET, "0.0.0.0/0"), (_AF_INET6, "::/0")):
            rule = {
                "family": family,
                "table": ROUTE_TABLE,
                "priority": RULE_PRIORITY,
                "fwmark": CONNECTION_MARK,
                "fwmask": MARK_MASK,
            }
            route = {
                "family": family,
                "dst": anywhere,
                "oif": loopback,
                "table": ROUTE_TABLE,
                "type": _ROUTE_TYPE_LOCAL,
                "scope": 254,
            }
            if family == _AF_INET6:
                del route["scope"]
            for kind, spec in ((netlink.rule, rule), (netlink.route, route)):
                try:
                    kind("add" if present else "del", **spec)
                except NetlinkError as error:
                    # EEXIST: there already. ENOENT, ESRCH: gone already. EAFNOSUPPORT, EOPNOTSUPP: no IPv6 here.
                    if error.code not in {17, 2, 3, 97, 95}:
                        raise CaptureError(f"policy routing for captured traffic failed: {error}") from error
