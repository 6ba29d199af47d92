# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the resolver on a gateway costs: the same questions to it and, from the same gateway, to the VPC resolver.

Both are those of the lab, which is started. The VPC resolver is one network hop away there; in AWS it takes longer
to answer, so that the ratio is lower.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

from tests.bench.figures import Row, Sizes, at_most, in_pairs
from tests.lab import actions, aws, feed, hosts, lab

ZONE = "bench.example"
RATE = 500  # questions a second
SECONDS = 4  # of each series
FORWARDER = "10.44.0.1"


def forwarder(sizes: Sizes) -> Iterator[Row]:
    """Answers that the forwarder has, and answers that it must fetch."""
    lab.start()
    actions.run_playbook("deploy")
    aws.forget_names()
    aws.create_zone(ZONE, ("*", "A", "10.20.0.9"))
    feed.feed()
    try:
        actions.run_playbook("site")
        yield _row("a name that it remembers", "same", sizes)
        yield _row("a name that it must ask for", "n{{}}-{series}", sizes)
    finally:
        aws.forget_names()
        feed.feed()


def _row(what: str, name: str, sizes: Sizes) -> Row:
    series = itertools.count()

    def measure(server: str) -> float:
        return _median(server, name.format(series=next(series)))

    ours, theirs = lambda: measure(FORWARDER), lambda: measure(hosts.RESOLVER_ADDRESSES[0])
    pair = in_pairs(ours, theirs, sizes.long_repetitions, what)
    return at_most(f"private_dns: {what}", f"{RATE}/s", pair, "the VPC resolver", 5, "medians; none lost")


def _median(server: str, name: str) -> float:
    """How long the answers took, in seconds.

    :raises AssertionError: some didn't come.
    """
    command = f"python3 /etc/lab/dns.py {server} '{name}.{ZONE}' A --rate {RATE} --seconds {SECONDS}"
    report = json.loads(actions.shell("gateway", command))
    assert report["lost"] == 0, report
    assert report["rcodes"] == {"NOERROR": RATE * SECONDS}, report
    return float(report["median"])
