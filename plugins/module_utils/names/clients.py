# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The AWS clients that reading names takes."""

from __future__ import annotations

from typing import Any, NamedTuple


class NameClients(NamedTuple):
    """Clients of the AWS services that know private names. botocore's own, not typed further."""

    route53: Any
    servicediscovery: Any
    elbv2: Any
    ec2: Any
