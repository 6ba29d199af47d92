# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The AuthorizedKeysCommand of a gateway whose image lacks EC2 Instance Connect: keys that are valid now.

The instance metadata is trusted, as is everything that it gives an instance. It has the keys as blocks of comments, a
key, and a signature; only the key and the comment with the end of its time are read. Python 3.8, standard library.
"""

from __future__ import annotations

import re
import sys
import time
import urllib.error
import urllib.request

_METADATA = "http://169.254.169.254/latest"
_TIMEOUT = 3  # seconds
_USER = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._-]{0,31}")
_KEY = re.compile(r"(?:ssh-ed25519|ssh-rsa) [A-Za-z0-9+/=]+(?: [^\n]*)?")
_END = re.compile(r"#Timestamp=([0-9]{1,12})")


def valid_keys(blocks: str, now: float) -> list[str]:
    """The keys of active-keys/USER whose time, in seconds since the epoch, isn't over."""
    end, keys = 0.0, []
    for line in blocks.splitlines():
        found = _END.fullmatch(line)
        if found:
            end = float(found[1])
        elif _KEY.fullmatch(line):
            if now < end:
                keys.append(line)
            end = 0.0
    return keys


def active_keys(user: str) -> str:
    """What the instance metadata has for a user, by IMDSv2; empty if nothing."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "5"}
    request = urllib.request.Request(f"{_METADATA}/api/token", method="PUT", headers=ttl)
    with opener.open(request, timeout=_TIMEOUT) as answer:
        token = {"X-aws-ec2-metadata-token": answer.read().decode("ascii")}
    place = f"{_METADATA}/meta-data/managed-ssh-keys/active-keys/{user}/"
    try:
        with opener.open(urllib.request.Request(place, headers=token), timeout=_TIMEOUT) as answer:
            return str(answer.read().decode("utf-8", "replace"))
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return ""
        raise


def main() -> int:
    """Print the keys of the user that sshd asks about."""
    user = sys.argv[1]
    if not _USER.fullmatch(user):
        return 1
    try:
        keys = valid_keys(active_keys(user), time.time())
    except (OSError, ValueError) as error:
        sys.stderr.write(f"the instance metadata can't be asked: {error}\n")
        return 1
    sys.stdout.write("".join(f"{key}\n" for key in keys))
    return 0


if __name__ == "__main__":
    sys.exit(main())
