# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The credentials of an instance's role, from the instance metadata by IMDSv2."""

from __future__ import annotations

import calendar
import http.client
import json
import re
import time
import urllib.error
import urllib.request
from typing import Any, Callable

from .queue import NoRedirects
from .signature import Credentials

_PLACES = ("http://169.254.169.254/latest", "http://[fd00:ec2::254]/latest")
_TIMEOUT = 3  # seconds
_MOST = 1 << 16  # bytes of an answer
_VALUE = re.compile(r"[\x21-\x7e]{1,8192}")  # of a credential; what else it held would end up in an error's text
_NAMES = ("AccessKeyId", "SecretAccessKey", "Token")
_EARLY = 300  # seconds before they end that credentials are asked for anew; the metadata has new ones by then


class MetadataError(OSError):
    """The instance metadata gives no credentials; says why."""


class RoleCredentials:
    """Gives the credentials of the instance's role, which change every few hours."""

    def __init__(self, places: tuple[str, ...] = _PLACES, clock: Callable[[], float] = time.time) -> None:
        self._places = places
        self._clock = clock
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirects)
        self._known: Credentials | None = None

    def __call__(self) -> Credentials:
        """Return credentials that are valid for some minutes more.

        :raises MetadataError: there are none.
        """
        if self._known is None or self._clock() > self._known.expires_at - _EARLY:
            self._known = self._ask()
        return self._known

    def forget(self) -> None:
        """Ask anew next time: AWS has refused them."""
        self._known = None

    def _ask(self) -> Credentials:
        failures = []
        for place in self._places:
            try:
                return self._ask_at(place)
            except urllib.error.HTTPError as error:
                hint = "; does the instance have a role?" if error.code == 404 else ""
                raise MetadataError(f"the instance metadata answered {error.code} to {error.url}{hint}") from None
            except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, RecursionError) as error:
                failures.append(f"{place}: {error}")
        raise MetadataError(f"the instance metadata gives no credentials ({'; '.join(failures)})")

    def _ask_at(self, place: str) -> Credentials:
        ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
        token = {"X-aws-ec2-metadata-token": _credential("token", self._fetch(f"{place}/api/token", "PUT", ttl))}
        roles = f"{place}/meta-data/iam/security-credentials/"
        role = self._fetch(roles, "GET", token).partition("\n")[0].strip()
        found: dict[str, Any] = json.loads(self._fetch(roles + role, "GET", token))
        if found.get("Code", "Success") != "Success":
            raise ValueError(f"no credentials for {role[:64]!r}: {found['Code']}: {str(found.get('Message'))[:200]}")
        ends = calendar.timegm(time.strptime(found["Expiration"], "%Y-%m-%dT%H:%M:%SZ"))
        key_id, secret, session = (_credential(name, found[name]) for name in _NAMES)
        return Credentials(key_id, secret, session, float(ends))

    def _fetch(self, url: str, method: str, headers: dict[str, str]) -> str:
        request = urllib.request.Request(url, method=method, headers=headers)
        with self._opener.open(request, timeout=_TIMEOUT) as answer:
            return str(answer.read(_MOST).decode("utf-8"))


def _credential(name: str, value: Any) -> str:
    """Return a part of credentials.

    :raises ValueError: it is none; what it is, nobody is shown (R10, secrets stay home).
    """
    if not isinstance(value, str) or not _VALUE.fullmatch(value):
        raise ValueError(f"{name} isn't one word of text")
    return value
