# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What all tests of the scenario need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab import actions, aws, feed, hosts


@pytest.fixture
def forwarding() -> Iterator[None]:
    """Gateways whose resolvers answer every name."""
    actions.run_playbook("private_dns", private_dns_other="forward")
    yield
    actions.run_playbook("private_dns")


@pytest.fixture(scope="session", autouse=True)
def private_name() -> Iterator[None]:
    """The private name of the service, which the gateways' resolvers know, and the public one of self-service."""
    aws.forget_names()
    aws.create_zone("internal.example", ("web", "A", hosts.SERVICE_ADDRESSES[0]))
    aws.create_zone("public.example", ("self-service", "A", hosts.machine_address()), private=False)
    feed.feed()
    actions.run_playbook("private_dns")
    yield
    aws.forget_names()
    feed.feed()
