# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What keeps a registration from ending unnoticed: a daily timer, and a message at login. Pure.

The timer runs `enroll remind` as the user whose credentials they are. It renews the registration where AWS lets it do
so without a fresh MFA session, and else tells the user. The message needs nothing but the note of the registration.
"""

from __future__ import annotations

import plistlib
import re
from typing import Sequence

from ..wireguard.managed import MARKER

SOON = 7 * 24 * 3600  # seconds before the end from which on the user is told
LIBRARY = "/usr/local/lib/tracklib-vpn"
LOGIN_FILE = "/etc/profile.d/tracklib-vpn.sh"

# Only for people: what a script reads from a login shell stays as it is. A number is all that gets from the note into
# the shell (R15, data is never code).
LOGIN_MESSAGE = rf"""{MARKER}; do not edit: changes are overwritten.
case $- in
*i*)
    for _tracklib_note in /var/lib/tracklib-vpn/*.json; do
        _tracklib_end=$(sed -n 's/.*"expires_at": \([0-9]\{{1,12\}}\).*/\1/p' "$_tracklib_note" 2>/dev/null || :)
        if [ -n "$_tracklib_end" ]; then
            _tracklib_left=$((_tracklib_end - $(date +%s)))
            if [ "$_tracklib_left" -le 0 ]; then
                echo "Your registration in the VPN has ended. Renew it: enroll up"
            elif [ "$_tracklib_left" -lt {SOON} ]; then
                echo "Your registration in the VPN ends in $((_tracklib_left / 86400)) days. Renew it: enroll up"
            fi
        fi
    done
    unset _tracklib_note _tracklib_end _tracklib_left
    ;;
esac
"""


def script_file(interface: str) -> str:
    """Return where the timer finds the script."""
    return f"{LIBRARY}/enroll-{interface}.pyz"


def timer(interface: str) -> str:
    """Return the name of the timer's unit."""
    return f"tracklib-vpn-renew-{interface}.timer"


def unit_files(interface: str, user: str, uid: int, arguments: Sequence[str]) -> dict[str, str]:
    """Write the timer and its service, by path.

    :param user: whose AWS credentials are used; the bus of that user's desktop, if there is one, shows notifications.
    :param arguments: of the script after `remind`.
    """
    base = f"/etc/systemd/system/{timer(interface)[: -len('.timer')]}"
    command = " ".join(map(_quoted, ["/usr/bin/env", "python3", script_file(interface), "remind", *arguments]))
    head = f"{MARKER}; do not edit: changes are overwritten.\n"
    service = (
        f"{head}[Unit]\nDescription=Renew the registration of {interface} in the VPN, or tell of its end\n"
        "Wants=network-online.target\nAfter=network-online.target\n\n"
        f"[Service]\nType=oneshot\nUser={_quoted(user)}\nExecStart={command}\n"
        f"Environment=DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/{uid}/bus\n"
    )
    daily = (
        f"{head}[Unit]\nDescription=Look daily whether the registration of {interface} in the VPN ends soon\n\n"
        "[Timer]\nOnCalendar=daily\nPersistent=true\nRandomizedDelaySec=1h\n\n[Install]\nWantedBy=timers.target\n"
    )
    return {f"{base}.service": service, f"{base}.timer": daily}


def agent_label(interface: str) -> str:
    """Return the label of the launchd agent."""
    return f"com.tracklib.vpn.renew.{interface}"


def agent(interface: str, arguments: Sequence[str]) -> str:
    """Write the launchd agent that does the same on macOS, daily at noon or once the machine wakes."""
    return plistlib.dumps(
        {
            "Label": agent_label(interface),
            "ProgramArguments": ["/usr/bin/env", "python3", script_file(interface), "remind", *arguments],
            "StartCalendarInterval": {"Hour": 12, "Minute": 0},
        }
    ).decode()


def _quoted(word: str) -> str:
    """Quote a word for a unit's line, see systemd.service(5), "Command lines".

    :raises ValueError: it has a line break.
    """
    if "\n" in word:
        raise ValueError(f"{word!r} can't be written into a unit: it has a line break")
    if re.fullmatch(r"[A-Za-z0-9_./:=@+,-]+", word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'
