# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""By which of the function's URLs a call came."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.tracklib.vpn.plugins.module_utils.aws import calling

MANAGE, RENEW = "manage", "renew"  # aliases of the function, each with a URL of its own


class FunctionUrls:
    """The function's URLs, by their hosts.

    Lambda's documentation has the alias of the URL in the context's ARN; at least one emulator leaves it out, and no
    account was there to look. Without it every call would be refused, so Lambda is asked then: once, and kept.
    """

    def __init__(self, make_client: Callable[[], Any]) -> None:
        """:param make_client: makes boto3's of Lambda; not before it is needed, since it takes time."""
        self._make_client = make_client
        self._aliases: dict[str, str] = {}

    def alias_of(self, arn: str, host: str) -> tuple[str, str | None]:
        """Return the function's ARN without alias, and the alias that a call came by; None for none.

        :param arn: the context's.
        :param host: the event's. Only Lambda's own calls have a true one, as all of their context.
        :raises AWSCallError: Lambda can't be asked.
        """
        parts = arn.split(":")
        function = ":".join(parts[:7])
        if len(parts) > 7:
            return function, parts[7]
        if not self._aliases:
            client = self._make_client()
            self._aliases = {_host_of(client, function, alias): alias for alias in (MANAGE, RENEW)}
        return function, self._aliases.get(host)


def _host_of(client: Any, function: str, alias: str) -> str:
    with calling("lambda:GetFunctionUrlConfig", f"{function}:{alias}"):
        found = client.get_function_url_config(FunctionName=function, Qualifier=alias)
    return str(urlsplit(found["FunctionUrl"]).hostname)
