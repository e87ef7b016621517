"""What the host's firewall does to packets between nodes."""

from pathlib import Path
from typing import Any

from sidestep.local.host_firewall import dropping, obstacle, sentence

DOCKER: list[dict[str, Any]] = [
    {"metainfo": {"json_schema_version": 1}},
    {"chain": {"family": "ip", "table": "nat", "name": "POSTROUTING", "hook": "postrouting", "policy": "accept"}},
    {"chain": {"family": "ip", "table": "filter", "name": "FORWARD", "hook": "forward", "policy": "drop"}},
    {"chain": {"family": "ip", "table": "filter", "name": "DOCKER"}},
    {"chain": {"family": "ip6", "table": "filter", "name": "FORWARD", "hook": "forward", "policy": "drop"}},
    {"chain": {"family": "inet", "table": "mine", "name": "pass", "hook": "forward", "policy": "accept"}},
]


def test_chains_that_drop() -> None:
    assert dropping(DOCKER) == ("ip filter FORWARD",)
    assert dropping(DOCKER[:2]) == ()


def test_the_sentence_has_the_rule_that_mends_it() -> None:
    said = sentence("ss0badc0", ("ip filter FORWARD",))
    assert "bridge-nf-call-iptables is 1 and the policy of ip filter FORWARD is drop" in said
    assert "`nft insert rule ip filter FORWARD iifname ss0badc0 oifname ss0badc0 accept`" in said


def test_bridges_that_do_not_pass_through_the_firewall(tmp_path: Path) -> None:
    setting = tmp_path / "bridge-nf-call-iptables"
    assert obstacle("ss0badc0", calls=setting) is None
    setting.write_text("0\n")
    assert obstacle("ss0badc0", calls=setting) is None
