# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The tunnel of the machine that the script `enroll` runs on; the role `client` makes the same with Ansible.

Files and unit are the role's, so that either may follow the other. What needs root goes through sudo; no value becomes
part of a command's text (R15, data is never code). The standard library alone.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any, Mapping, NamedTuple, Sequence

from .. import keys
from ..client.config import DnsFlavour, asks_every_name
from ..client.overlap import Attached, bsd_routes, linux_routes
from ..wireguard.managed import MARKER, PACKAGES
from . import reminder

HANDSHAKE_AGE = 180  # seconds; a peer that answers makes a new handshake after two minutes

_KEY = """
set -eu
umask 077
mkdir -p "${1%/*}"
if [ "$2" = new ]; then
    wg genkey > "$1.new"
    mv "$1.new" "$1"
elif [ ! -e "$1" ]; then
    # linked when complete, so that a key that is there meanwhile stays
    wg genkey > "$1.new"
    ln "$1.new" "$1"
    rm "$1.new"
fi
chmod 600 "$1"
wg pubkey < "$1"
"""
_PUBLIC_KEY = '[ ! -s "$1" ] || wg pubkey < "$1"'
_LIVE_KEY = 'wg show "$1" public-key 2>/dev/null || :'
_READ = '[ ! -e "$1" ] || cat "$1"'
_WRITE = 'set -eu; umask "$2"; mkdir -p "${1%/*}"; cat > "$1.new"; mv "$1.new" "$1"'


class MachineError(RuntimeError):
    """A failure of this machine: what it lacks or refused, and what to do."""


class Machine(NamedTuple):
    """This machine, with the name of its WireGuard interface."""

    interface: str

    @property
    def key_file(self) -> str:
        """Path of the private key."""
        return f"/etc/wireguard/{self.interface}.key"

    @property
    def config_file(self) -> str:
        """Path of the configuration."""
        return f"/etc/wireguard/{self.interface}.conf"

    @property
    def note_file(self) -> str:
        """Path of what is known of this machine's registration, for everybody to read; no secret."""
        return f"/var/lib/tracklib-vpn/{self.interface}.json"

    @property
    def unit(self) -> str:
        """The systemd unit of the tunnel."""
        return f"wg-quick@{self.interface}.service"

    @property
    def drop_in_file(self) -> str:
        """Path of what the role `client` adds to the unit."""
        return f"/etc/systemd/system/{self.unit}.d/tracklib-vpn.conf"

    @property
    def drop_in(self) -> str:
        """The text of the role's templates/unit.conf.j2."""
        return (
            f"{MARKER}; do not edit: changes are overwritten.\n"
            "[Service]\n"
            "# after the unit's own, which takes the key away: the configuration doesn't hold it\n"
            f"ExecReload=/usr/bin/wg set {self.interface} private-key {self.key_file}\n"
        )

    def check(self) -> None:
        """Check that the tunnel can be made here.

        :raises MachineError: a program is missing, or somebody else's configuration is in the way.
        """
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}", self.interface):
            raise MachineError(f"interface {self.interface!r} is refused; expected 1 to 15 letters, digits, _ . or -")
        _check_system()
        need("wg", "wg-quick")
        self.check_ours()

    def check_ours(self) -> None:
        """Check that the interface's configuration is none of somebody else.

        :raises MachineError: it is.
        """
        found = _shell(_READ, self.config_file)
        if found and MARKER not in found:
            raise MachineError(
                f"there is a {self.config_file} that wasn't made by tracklib.vpn, and nothing was changed; choose "
                "another --interface, or take that interface down and move its configuration away"
            )

    def has_tools(self) -> bool:
        """Tell whether there can be a tunnel here."""
        return _has_root() and _found("wg") and _found("wg-quick")

    def has_ipv6(self) -> bool:
        """Tell whether an interface here can have an IPv6 address; only Linux can be without."""
        if not sys.platform.startswith("linux"):
            return True
        try:
            with open("/proc/sys/net/ipv6/conf/default/disable_ipv6", encoding="ascii") as file:
                return file.read().strip() == "0"
        except OSError:
            return False

    def attached(self) -> list[Attached]:
        """List the networks that this machine is in; none where that can't be told."""
        own = self._real_interface()
        try:
            if sys.platform == "darwin":
                found = list(bsd_routes(_capture(["netstat", "-rn", "-f", "inet"])))
            else:
                texts = (_capture(["ip", "-json", version, "route", "show"]) for version in ("-4", "-6"))
                found = [one for text in texts for one in linux_routes(text)]
        except (MachineError, ValueError):
            return []
        return [one for one in found if one.interface != own]

    def note(self) -> dict[str, Any]:
        """Read what is known of this machine's registration.

        It has device, addresses, expires_at, renewable_from, endpoint, excluded and timer.

        :returns: nothing, if it was never enrolled by this script.
        """
        try:
            with open(self.note_file, encoding="utf-8") as file:
                noted = json.load(file)
        except (OSError, ValueError):
            return {}
        return noted if isinstance(noted, dict) else {}

    def keep_note(self, noted: Mapping[str, Any]) -> None:
        """Write what note() reads; its user may change it, as the timer does."""
        if noted == self.note():
            return
        text = json.dumps(noted)
        if os.path.exists(self.note_file) and os.access(self.note_file, os.W_OK):
            with open(self.note_file, "w", encoding="utf-8") as file:
                file.write(text)
        else:
            _write(self.note_file, text)
            _run(["chown", str(os.getuid()), self.note_file])

    def remind(self, script: str, arguments: Sequence[str]) -> None:
        """Have the registration renewed by a daily timer, and its end told where that isn't possible.

        :param script: path of this script.
        :param arguments: of it after `remind`.
        """
        _install(script, reminder.script_file(self.interface))
        if sys.platform == "darwin":
            self._load_agent(arguments)
        elif _has_systemd():
            files = reminder.unit_files(self.interface, _user_name(), os.getuid(), arguments)
            changed = {path: text for path, text in files.items() if not _holds(path, text)}
            for path, text in changed.items():
                _write(path, text)
            if changed:
                _run(["systemctl", "daemon-reload"])
            _run(["systemctl", "--quiet", "enable", "--now", reminder.timer(self.interface)])
        login = reminder.LOGIN_FILE
        if os.path.isdir(os.path.dirname(login)) and not _holds(login, reminder.LOGIN_MESSAGE):
            _write(login, reminder.LOGIN_MESSAGE)

    def _load_agent(self, arguments: Sequence[str]) -> None:
        with open(self._agent_file, "w", encoding="utf-8") as file:
            file.write(reminder.agent(self.interface, arguments))
        self._unload_agent()
        subprocess.run(["launchctl", "bootstrap", f"gui/{os.getuid()}", self._agent_file], check=False)

    def _unload_agent(self) -> None:
        target = f"gui/{os.getuid()}/{reminder.agent_label(self.interface)}"
        subprocess.run(["launchctl", "bootout", target], stderr=subprocess.DEVNULL, check=False)

    @property
    def _agent_file(self) -> str:
        return os.path.expanduser(f"~/Library/LaunchAgents/{reminder.agent_label(self.interface)}.plist")

    def forget_reminder(self) -> None:
        """Take away what remind() made, but for the login's message, which says nothing without a note."""
        if sys.platform == "darwin":
            self._unload_agent()
            with suppress(FileNotFoundError):
                os.remove(self._agent_file)
        elif _has_systemd() and os.path.exists(f"/etc/systemd/system/{reminder.timer(self.interface)}"):
            _run(["systemctl", "--quiet", "disable", "--now", reminder.timer(self.interface)])
            _run(["rm", "-f", *reminder.unit_files(self.interface, _user_name(), os.getuid(), ())])
            _run(["systemctl", "daemon-reload"])
        if os.path.exists(reminder.script_file(self.interface)):
            _run(["rm", "-f", reminder.script_file(self.interface)])

    def ensure_key(self, new: bool = False) -> str:
        """Make the private key if there is none, or a new one; return the public key.

        The private key stays in its file (R10, secrets stay home).
        """
        which = "new" if new else ""
        return _shell(_KEY, self.key_file, which)

    def public_key(self) -> str | None:
        """Return the public key of the private key that is here, None without one."""
        return _shell(_PUBLIC_KEY, self.key_file) or None

    def bring_up(self, text: str, restart: bool) -> None:
        """Write the configuration and start the tunnel, now and with the machine.

        :param restart: begin anew with the gateway, also when nothing changed here.
        """
        changed = not _holds(self.config_file, text)
        if _has_systemd() and not _holds(self.drop_in_file, self.drop_in):
            _write(self.drop_in_file, self.drop_in)
            _run(["systemctl", "daemon-reload"])
        if changed or restart or self._has_another_key():
            self.stop()
        if changed:
            _write(self.config_file, text, umask="077")
        self._start()

    def take_down(self) -> None:
        """Stop the tunnel for good; remove configuration, key, note and drop-in."""
        self.stop_for_good()
        self.forget_reminder()
        if _has_systemd():
            _run(["rm", "-rf", os.path.dirname(self.drop_in_file)])
            _run(["systemctl", "daemon-reload"])
        _run(["rm", "-f", self.config_file, self.key_file, self.note_file])

    def stop_for_good(self) -> None:
        """Stop the tunnel, also at the next start of the machine."""
        self.stop()
        if _has_systemd():
            _run(["systemctl", "--quiet", "disable", self.unit])

    def is_known(self) -> bool:
        """Tell whether the gateway answered a handshake lately: it has this machine's key."""
        age = self.handshake_age()
        return age is not None and age < HANDSHAKE_AGE

    def handshake_age(self) -> float | None:
        """How many seconds ago the gateway answered a handshake; None if it never did, or the tunnel is down."""
        if not self.is_up():
            return None
        handshakes = _run(["wg", "show", self._real_interface(), "latest-handshakes"]).split()
        latest = max((int(moment) for moment in handshakes[1::2]), default=0)
        return time.time() - latest if latest else None

    def knock(self, keepalive: int) -> None:
        """Make WireGuard send a packet, which begins a handshake: the keepalive, switched on.

        :param keepalive: what the tunnel has, in seconds.
        """
        interface = self._real_interface()
        peer = _run(["wg", "show", interface, "peers"]).strip()
        for seconds in ("off", str(keepalive)):
            _run(["wg", "set", interface, "peer", peer, "persistent-keepalive", seconds])

    def dns(self, wanted: DnsFlavour | None, tunnel: Mapping[str, Any]) -> DnsFlavour:
        """Return how this machine is told of DNS servers: `wanted`, or for None what it has, as the role finds it.

        :param tunnel: what the function says of it.
        :raises MachineError: what is wanted isn't here, or would leave this machine without other names.
        """
        is_safe = tunnel.get("answers_other_names", False)
        if wanted is None:
            usual = _usual_dns()
            return usual if is_safe or not asks_every_name(usual) else DnsFlavour.NONE
        if asks_every_name(wanted) and not is_safe:
            raise MachineError(
                f"with --dns {wanted.value} this machine would ask the tunnel for every name, and the gateways answer "
                "private ones only; use --dns resolved (systemd-resolved) or none, or ask the operators of the VPN"
            )
        if wanted is DnsFlavour.LINE and sys.platform != "darwin":
            need("resolvconf")
        if wanted is DnsFlavour.RESOLVED:
            need("resolvectl")
        return wanted

    def _has_another_key(self) -> bool:
        """Whether the tunnel is up with an earlier key than the one in the file, as after an interrupted run."""
        live = _shell(_LIVE_KEY, self._real_interface())
        return live not in ("", self.public_key())

    def _start(self) -> None:
        if _has_systemd():
            _run(["systemctl", "--quiet", "enable", self.unit])
            _run(["systemctl", "start", self.unit])
        elif not self.is_up():
            _run(["wg-quick", "up", self.config_file])

    def stop(self) -> None:
        """Stop the tunnel; it starts again with the machine."""
        if _has_systemd():
            _run(["systemctl", "stop", self.unit])
        elif self.is_up():
            _run(["wg-quick", "down", self.config_file])

    def is_up(self) -> bool:
        """Tell whether the interface is there."""
        return self.has_tools() and self._real_interface() in _run(["wg", "show", "interfaces"]).split()

    def is_ours_and_up(self) -> bool:
        """Tell whether the interface is there, and is this script's."""
        return self.is_up() and MARKER in _shell(_READ, self.config_file)

    def _real_interface(self) -> str:
        """The kernel's name of the interface; macOS gives one of its own, which wg-quick notes."""
        if sys.platform != "darwin":
            return self.interface
        return _shell(_READ, f"/var/run/wireguard/{self.interface}.name") or self.interface


def _usual_dns() -> DnsFlavour:
    if sys.platform == "darwin":
        return DnsFlavour.LINE
    if _found("resolvectl") and _asks_resolved():
        return DnsFlavour.RESOLVED
    if _found("resolvconf"):
        return DnsFlavour.LINE
    return DnsFlavour.NONE


def need(*programs: str) -> None:
    """Check that programs are there.

    :raises MachineError: naming those that are missing.
    """
    missing = [program for program in programs if not _found(program)]
    if missing:
        packages = ", ".join(sorted({PACKAGES[program] for program in missing}))
        raise MachineError(
            f"{', '.join(missing)} not found: install {packages} first (Debian, Ubuntu: sudo apt install; Fedora: sudo "
            "dnf install; macOS: brew install)"
        )


def _found(program: str) -> bool:
    places = (os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin", "/opt/homebrew/bin")
    return shutil.which(program, path=os.pathsep.join(places)) is not None


def notify(text: str) -> None:
    """Show a notification on the user's desktop, if there is one."""
    if sys.platform == "darwin":
        script = 'on run argv\ndisplay notification (item 1 of argv) with title "VPN"\nend run'
        command = ["osascript", "-e", script, text]
    elif _found("notify-send"):
        command = ["notify-send", "--app-name=VPN", "--", "VPN", text]
    else:
        return
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def _user_name() -> str:
    import pwd  # Windows has none

    return pwd.getpwuid(os.getuid()).pw_name


def _install(source: str, destination: str) -> None:
    """Copy a file for all to run, if it differs."""
    with suppress(OSError), open(source, "rb") as new, open(destination, "rb") as old:
        if new.read() == old.read():
            return
    _run(["install", "-D", "-m", "755", source, destination])


def _has_root() -> bool:
    return hasattr(os, "geteuid")


def _check_system() -> None:
    """Check that the script makes tunnels here, which it doesn't on Windows.

    :raises MachineError: it doesn't; saying how to get one.
    """
    if not _has_root():
        raise MachineError(
            "this system's tunnels are made by the WireGuard app: add an empty tunnel there, and run `enroll app NAME "
            "--public-key KEY --output vpn0.conf` with the public key that it shows. Take a tunnel down in the app, too"
        )


def new_key() -> tuple[str, str]:
    """Make a (private key, public key), which only this process has (R10, secrets stay home)."""
    if not _found("wg"):
        try:
            return keys.generate()
        except ImportError:
            raise MachineError(
                "nothing here makes keys: install WireGuard's tools (apt, dnf, brew), or PyNaCl (pip install pynacl)"
            ) from None
    private = _capture(["wg", "genkey"]).strip()
    return private, _capture(["wg", "pubkey"], private).strip()


def _has_systemd() -> bool:
    return os.path.isdir("/run/systemd/system")


def _asks_resolved() -> bool:
    try:
        with open("/etc/resolv.conf", encoding="utf-8") as file:
            servers = [line.split()[1] for line in file if line.startswith("nameserver") and len(line.split()) > 1]
    except OSError:
        return False
    return not {"127.0.0.53", "127.0.0.54"}.isdisjoint(servers)


def _write(path: str, text: str, umask: str = "022") -> None:
    """Replace a file as a whole, as root."""
    _run(["sh", "-c", _WRITE, "sh", path, umask], stdin=text)


def _holds(path: str, text: str) -> bool:
    """Whether a file has this text, but for spaces at its end."""
    return _shell(_READ, path) == text.strip()


def _shell(script: str, *arguments: str) -> str:
    return _run(["sh", "-c", script, "sh", *arguments]).strip()


def _run(command: list[str], stdin: str = "") -> str:
    """Run a command as root."""
    _check_system()
    if os.geteuid() != 0:
        command = ["sudo", "--", *command]
    return _capture(command, stdin)


def _capture(command: list[str], stdin: str = "") -> str:
    try:
        # its messages go where the user sees them, as does sudo's question for a password
        done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, text=True, check=False)
    except OSError as error:
        raise MachineError(f"{command[0]} can't be run: {error.strerror}") from None
    if done.returncode:
        words = " ".join(word for word in command if "\n" not in word)
        raise MachineError(f"`{words}` ended with {done.returncode}; its message is above")
    return done.stdout
