"""Does the host's firewall drop what nodes send each other? Docker sets one up that does. Blocking.

Nodes are joined by a bridge of the host. With `net.bridge.bridge-nf-call-iptables` what crosses a bridge passes
through the FORWARD chains, and no setting of the bridge itself can prevent that.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_BRIDGE_CALLS = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
_FAMILIES = ("ip", "inet")


def obstacle(bridge: str, *, calls: Path = _BRIDGE_CALLS) -> str | None:
    """One sentence that says what may drop packets between nodes, and what to do; None if nothing does."""
    if not calls.exists() or calls.read_text().strip() == "0":
        return None
    listed = subprocess.run(["nft", "--json", "list", "chains"], capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        return f"cannot say whether this host's firewall drops what nodes send each other: {listed.stderr.strip()}"
    chains = dropping(json.loads(listed.stdout).get("nftables", ()))
    return sentence(bridge, chains) if chains else None


def dropping(objects: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The chains, `ip filter FORWARD`, that drop forwarded IPv4 unless a rule says otherwise. Pure."""
    chains = (found["chain"] for found in objects if "chain" in found)
    return tuple(
        f"{chain['family']} {chain['table']} {chain['name']}"
        for chain in chains
        if chain.get("hook") == "forward" and chain.get("policy") == "drop" and chain.get("family") in _FAMILIES
    )


def sentence(bridge: str, chains: tuple[str, ...]) -> str:
    """What to say. Pure."""
    mend = "; ".join(f"nft insert rule {chain} iifname {bridge} oifname {bridge} accept" for chain in chains)
    return (
        f"this host's firewall may drop what nodes send each other: net.bridge.bridge-nf-call-iptables is 1 and the "
        f"policy of {', '.join(chains)} is drop; `{mend}` lets it pass"
    )
