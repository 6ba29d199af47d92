# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Other programs' rules, which may drop what ours accept: Docker's and ufw's, or an operator's own.

A packet must be accepted by the chains of all tables at a hook. Whether a rule of another table drops a packet of the
tunnel isn't computed: a chain that drops is named unless one of its rules names the interface, or the port, and so
was written with the tunnel in mind.
"""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from typing import Iterator, NamedTuple, Sequence

from .commands import Runner, output
from .config import Interface
from .firewall import OWN_TABLES

_CHAIN = re.compile(r"^\tchain (\S+) \{$(.*?)^\t\}$", re.MULTILINE | re.DOTALL)
_JUMP = re.compile(r"\b(?:jump|goto) ([^\s,}]+)")
_QUOTED = re.compile(r'"([^"]*)"')
_DROP = re.compile(r"\b(?:drop|reject)\b")
_INTERFACE = re.compile(r"\b[io]ifname\b")
_DNS = 53
# How nft(8) says what is looked for below, for what iptables-save(8) prints.
_AS_NFT = (
    (re.compile(r"-[io] (\S+)\+(?= )"), r'iifname "\1*"'),
    (re.compile(r"-[io] (\S+)"), r'iifname "\1"'),
    (re.compile(r"-j (?:DROP|REJECT)\b"), "drop"),
    (re.compile(r"-[jg] (\S+)"), r"jump \1"),
    (re.compile(r"--(?:ct)?state INVALID\b"), "ct state invalid"),
)


class ForeignChain(NamedTuple):
    """A chain of another program at a hook, with all rules that a packet may meet from there on."""

    name: str  # family, table and chain, as nft(8) has them
    hook: str
    policy: str
    rules: tuple[str, ...]


def read_foreign_chains(run: Runner) -> tuple[ForeignChain, ...]:
    """Read the chains that may drop what is forwarded, or comes in. Elements of sets aren't read.

    :raises CommandError: nft or iptables can't list the chains.
    """
    return (*_nft_chains(run), *_legacy_chains(run))


def _nft_chains(run: Runner) -> Iterator[ForeignChain]:
    listing = json.loads(output(run, ["nft", "-j", "list", "chains"]))["nftables"]
    found = [each["chain"] for each in listing if _may_drop_at_all(each.get("chain", {}))]
    tables = sorted({(chain["family"], chain["table"]) for chain in found})
    rules = {table: _rules(run(["nft", "-s", "-t", "list", "table", *table]).stdout) for table in tables}
    for chain in found:
        name = f"{chain['family']} {chain['table']} {chain['name']}"
        reached = _reached(rules[chain["family"], chain["table"]], chain["name"])
        yield ForeignChain(name, chain["hook"], chain["policy"], reached)


def _legacy_chains(run: Runner) -> Iterator[ForeignChain]:
    """Read the chains of iptables' older kernel interface, which nft doesn't list."""
    if "filter" not in run(["cat", "/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"]).stdout.split():
        return
    for family, program in (("ip", "iptables-legacy-save"), ("ip6", "ip6tables-legacy-save")):
        listing = output(run, [program]).partition("*filter\n")[2].partition("COMMIT\n")[0]
        rules = _legacy_rules(listing)
        for name, policy in re.findall(r"^:(FORWARD|INPUT) (\S+)", listing, re.MULTILINE):
            yield ForeignChain(f"{family} iptables-legacy {name}", name.lower(), policy.lower(), _reached(rules, name))


def _legacy_rules(listing: str) -> dict[str, list[str]]:
    """Return the rules of each chain of iptables' listing, in nft's words as far as they are looked for."""
    rules: dict[str, list[str]] = {}
    for chain, rule in re.findall(r"^-A (\S+) (.*)$", listing, re.MULTILINE):
        for pattern, words in _AS_NFT:
            rule = pattern.sub(words, rule)
        rules.setdefault(chain, []).append(rule)
    return rules


def _may_drop_at_all(chain: dict[str, str]) -> bool:
    return (
        chain.get("type") == "filter"
        and chain.get("hook") in ("forward", "input")
        and chain["family"] in ("inet", "ip", "ip6")
        and not chain["table"].startswith(OWN_TABLES)
    )


def _rules(listing: str) -> dict[str, list[str]]:
    """Return the rules of each chain of a table's listing."""
    return {
        name: [line.strip() for line in body.splitlines() if line.strip() and " hook " not in line]
        for name, body in _CHAIN.findall(listing)
    }


def _reached(rules: dict[str, list[str]], start: str) -> tuple[str, ...]:
    """Return the rules of a chain and of all that it jumps to."""
    reached, found = [start], []
    for name in reached:
        found += rules.get(name, [])
        targets = _JUMP.findall("\n".join(rules.get(name, [])))
        reached += [target for target in dict.fromkeys(targets) if target not in reached]
    return tuple(found)


def foreign_drops(
    chains: Sequence[ForeignChain], interface: str, wanted: Interface, *, serves_names: bool
) -> list[str]:
    """Say which chains may drop what the interface forwards, or what is for this host.

    :param serves_names: whether our own rules let the tunnel ask this host for names.
    """
    return [
        f"{chain.name} (hook {chain.hook}, policy {chain.policy}) may drop {what}"
        for chain in chains
        if _drops(chain)
        for what in _unknown_to(chain, interface, wanted, serves_names)
    ]


def _unknown_to(chain: ForeignChain, interface: str, wanted: Interface, serves_names: bool) -> Iterator[str]:
    """Name the packets of the tunnel that a chain meets, and that none of its rules was written for."""
    is_told = _names(chain, interface)
    if chain.hook == "forward":
        is_met = not chain.name.startswith("ip6 ") or any(":" in address for address in wanted.addresses)
        if is_met and not is_told:
            yield f"the tunnel's packets: no rule there accepts {interface}"
        return
    if not _has_port(chain, wanted.listen_port):
        yield f"what clients send: no rule there accepts UDP port {wanted.listen_port}"
    if serves_names and not is_told and not _has_port(chain, _DNS):
        yield f"names that clients ask for: no rule there accepts {interface} or port {_DNS}"


def _drops(chain: ForeignChain) -> bool:
    return chain.policy == "drop" or any(_is_drop(rule, chain.hook) for rule in chain.rules)


def _is_drop(rule: str, hook: str) -> bool:
    """Tell a rule that drops; not one of broken packets, nor at a hook where only UDP matters one of TCP."""
    if "ct state invalid" in rule or (hook == "input" and re.search(r"\btcp\b", rule)):
        return False
    return _says_drop(rule)


def _says_drop(rule: str) -> bool:
    return bool(_DROP.search(_QUOTED.sub("", rule)))


def _names(chain: ForeignChain, interface: str) -> bool:
    rules = [rule for rule in chain.rules if _INTERFACE.search(rule) and not _says_drop(rule)]
    return any(fnmatchcase(interface, pattern) for rule in rules for pattern in _QUOTED.findall(rule))


def _has_port(chain: ForeignChain, port: int) -> bool:
    return any(re.search(rf"\bdport\b.*\b{port}\b", rule) and not _says_drop(rule) for rule in chain.rules)
