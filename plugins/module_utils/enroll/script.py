# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The script `tracklib-vpn-enroll.pyz`: a user's own devices and this machine's tunnel, without Ansible.

Needs Python 3.9, botocore and, for this machine's tunnel, WireGuard's tools. `deploy` packs it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import threading
import time
import zipfile
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Callable, Iterator
from urllib.parse import urlsplit

from ..client.config import ClientTunnel, DnsFlavour, dns_flavour, render
from ..client.qr import qr_code
from . import terminal
from .connect import Connection, check_private_names
from .device import Enrollment, digest, life, utc
from .function import SelfServiceError
from .machine import HANDSHAKE_AGE, Machine, MachineError, new_key, notify
from .reminder import SOON
from .service import SelfService, ask, settings_of
from .terminal import Screen
from .tunnel import app_tunnel, check_networks, client_tunnel, longest, names_left_out
from .web import Page, open_in_browser

_CODES = (".svg", ".png")
_AUTO = "auto"  # the machine's own way to learn of DNS servers
_CHANGED = "what you reach by the VPN has changed since this machine was set up; to have it, type: enroll up"
# what a tunnel of ours may be in the way of: the function, or whoever gives the credentials
_MAYBE_THE_TUNNEL = ("unreachable", "no_credentials")


def main() -> None:
    """Do what the command line says.

    :raises SystemExit: it failed; the message is one sentence.
    """
    arguments = _parser().parse_args()
    screen = Screen(sys.stderr if arguments.json else sys.stdout)
    try:
        result = _COMMANDS[arguments.command](arguments, screen)
    except SelfServiceError as error:
        _fail(arguments, str(error), error.code)
    except (MachineError, terminal.TerminalError, OSError, ValueError) as error:
        _fail(arguments, str(error), "machine")
    except KeyboardInterrupt:
        _fail(arguments, "interrupted; run it again to go on", "interrupted")
    else:
        if arguments.json:
            sys.stdout.write(json.dumps({"error": None, **result}, indent=1) + "\n")


def _fail(arguments: argparse.Namespace, message: str, code: str) -> None:
    if arguments.json:
        sys.stdout.write(json.dumps({"error": {"code": code, "message": message}}, indent=1) + "\n")
        raise SystemExit(1)
    raise SystemExit(f"enroll: {message}" + ("" if code in ("machine", "interrupted") else f" ({code})"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="enroll",
        description="Your devices in the VPN, with the AWS credentials of your IAM user, and this machine's tunnel. "
        "Running a command again changes nothing, or renews the registration.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    common, calling, local, tunnel = (argparse.ArgumentParser(add_help=False) for _number in range(4))
    common.add_argument("--json", action="store_true", help="print the result as JSON; progress goes to stderr")
    calling.add_argument("--settings", metavar="FILE", help="the file that the operators of the VPN gave you")
    calling.add_argument("--profile", help="profile of the AWS credentials")
    local.add_argument("--interface", default="vpn0", help="name of the WireGuard interface (default %(default)s)")
    tunnel.add_argument("--gateway", metavar="HOST:PORT", help="the gateway to dial; by default the first")
    flavours = [_AUTO, *(one.value for one in DnsFlavour)]
    tunnel.add_argument(
        "--exclude-network",
        metavar="CIDR",
        action="append",
        help="leave a network out of the tunnel, such as that of the place where you are; none for no network",
    )
    tunnel.add_argument("--dns", choices=flavours, default=_AUTO, help="how to use the DNS servers in the tunnel")

    def add(name: str, help_: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=help_, description=help_, parents=[common, *parents])

    device = "name of the device: 1 to 32 lower-case letters, digits, hyphens"
    up = add("up", "register or renew this machine, and start its tunnel", calling, local, tunnel)
    up.add_argument("device", nargs="?", help=f"{device}; by default what this machine was called before")
    up.add_argument(
        "--timer",
        action=argparse.BooleanOptionalAction,
        help="whether a daily timer renews the registration, or tells of its end; by default as before, or it does",
    )
    up.add_argument("--new-key", action="store_true", help="make another key, also where the device has one elsewhere")
    add("status", "show this machine's tunnel, and how long its registration lives", local)
    add(
        "remind",
        "renew this machine's registration if it is time, else tell of its end; the timer runs it",
        calling,
        local,
    )
    renew = add("renew", "renew a device; without a name this machine, as `up` does", calling, local, tunnel)
    renew.add_argument("device", nargs="?", help=device)
    add("down", "stop this machine's tunnel until the next `up`; nothing is asked", local)
    remove = add("remove", "remove a device, and the tunnel if it is this machine's", calling, local)
    remove.add_argument("device", nargs="?", help=f"{device}; by default what this machine was called")
    remove.add_argument("--local", action="store_true", help="only take the tunnel off this machine; nothing is asked")
    add("devices", "list your devices", calling, local)
    phone = add("phone", "make a key for a phone, and show it as a QR code once", calling, local, tunnel)
    phone.add_argument("device", help=device)
    phone.add_argument("--new-key", action="store_true", help="make another key for a phone that has one")
    phone.add_argument(
        "--output", metavar="FILE", help="write it to a file instead: FILE.svg or FILE.png, or FILE.conf as text"
    )
    app = add("app", "register the public key that an app shows, and write the rest for it", calling, local, tunnel)
    app.add_argument("device", help=device)
    app.add_argument("--public-key", metavar="KEY", required=True, help="what the app shows as its public key")
    app.add_argument("--output", metavar="FILE.conf", required=True, help="where the configuration goes, without a key")
    app.add_argument("--new-key", action="store_true", help="have this key take the place of another one")
    web = add("web", "open a page with your devices in the browser: for apps, phones, and without root", calling)
    web.add_argument("--no-browser", action="store_true", help="only print the address of the page")
    web.add_argument(
        "--port",
        type=_port,
        default=0,
        metavar="1024-65535",
        help="where it listens on 127.0.0.1; by default where it is free",
    )
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or not 1024 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is no port from 1024 to 65535")
    return int(text)


# -- commands


def _up(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    machine = Machine(arguments.interface)
    machine.check()
    name = arguments.device or machine.note().get("device")
    if name is None:
        raise ValueError("name the device, such as laptop: enroll up laptop")
    service = _service(arguments, screen)
    dns = machine.dns(_wanted_dns(arguments), service.listed["tunnel"])
    excluded = getattr(arguments, "exclude_network", None) or machine.note().get("excluded", [])
    check_networks(machine, service.listed["tunnel"], excluded, screen)
    new_key = getattr(arguments, "new_key", False)
    public_key = machine.public_key() if not new_key else None
    if public_key is None:
        if name in service.keys and not new_key:  # say so before there is a key
            service.present(name, "")
        public_key = machine.ensure_key(new_key)
    screen.say(f"the private key is in {machine.key_file} and stays there")
    enrollment = service.present(name, public_key, rotate=new_key)
    _report(enrollment, name, screen)
    tunnel = client_tunnel(enrollment, arguments.gateway, dns, excluded, ipv6=machine.has_ipv6())
    connection = Connection(machine, screen, tunnel)
    wants_timer = getattr(arguments, "timer", None)
    if wants_timer is None:
        wants_timer = machine.note().get("timer", True)
    machine.keep_note({**_note(enrollment, tunnel), "excluded": excluded, "timer": wants_timer})
    connection.establish(enrollment)
    _set_timer(machine, arguments, screen, wanted=wants_timer)
    _remind(enrollment, screen)
    settings = settings_of(arguments.settings)
    connection.check_names(settings.get("check_name"), urlsplit(settings["manage_url"]).hostname or "")
    if arguments.dns == _AUTO:
        check_private_names(tunnel, enrollment.tunnel)
    return _result(enrollment, name)


def _set_timer(machine: Machine, arguments: argparse.Namespace, screen: Screen, *, wanted: bool) -> None:
    """Have the end of the registration watched, as far as this is a script of one file; the tunnel works without."""
    try:
        _watch(machine, arguments, wanted=wanted)
    except (MachineError, OSError) as error:
        screen.say(f"the timer that renews the registration can't be set up: {error}")


def _watch(machine: Machine, arguments: argparse.Namespace, *, wanted: bool) -> None:
    if not wanted:
        machine.forget_reminder()
    elif zipfile.is_zipfile(sys.argv[0]):
        profile = arguments.profile or os.environ.get("AWS_PROFILE")
        given = ["--interface", machine.interface, *(["--profile", profile] if profile else [])]
        given += ["--settings", os.path.abspath(arguments.settings)] if arguments.settings else []
        machine.remind(os.path.abspath(sys.argv[0]), given)


def _remind_of_end(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    machine = Machine(arguments.interface)
    note = machine.note()
    result: dict[str, Any] = {"interface": machine.interface, "renewed": False, "problem": None}
    if not note:
        screen.say(f"this machine has no tunnel {machine.interface} of the VPN")
        return result
    is_due = note.get("renewable_from") is not None and note["renewable_from"] <= time.time()
    try:
        service = _ask(arguments, screen)
        note["changed"] = note.get("tunnel") not in (None, digest(service.listed["tunnel"]))
        if is_due:
            note = _renewed(note, service)
            result["renewed"] = True
    except (SelfServiceError, MachineError, OSError, ValueError) as error:
        result["problem"] = str(error)
        screen.say(f"it can't be renewed now: {error}" if is_due else f"the VPN could not be asked: {error}")
    machine.keep_note(note)
    told = [f"device {note['device']}: {life(note)}"]
    told += [_CHANGED] if note.get("changed") else []
    for text in told:
        screen.say(text)
    if note["expires_at"] is not None and note["expires_at"] - time.time() < SOON:
        notify(f"{told[0]}. Type: enroll up")
    if note.get("changed"):
        notify(_CHANGED)
    return {**result, **note}


def _renewed(note: dict[str, Any], service: SelfService) -> dict[str, Any]:
    """Renew a machine's registration, without any change to the machine; return what is known of it then."""
    name = note["device"]
    if name not in service.keys:
        raise ValueError(f"device {name} isn't registered any more")
    device = service.present(name, service.keys[name]).device or {}
    return {**note, **{field: device.get(field) for field in ("expires_at", "renewable_from")}}


def _status(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    machine = Machine(arguments.interface)
    note, age = machine.note(), machine.handshake_age()
    up = machine.is_up()
    if not note and not up:
        screen.say(f"this machine has no tunnel {machine.interface} of the VPN; make one: enroll up NAME")
    elif up:
        seen = "it never did" if age is None else f"the last time {age:.0f} s ago"
        is_working = age is not None and age < HANDSHAKE_AGE
        screen.say(
            f"{machine.interface} is up, and the gateway {'answers' if is_working else 'does not answer'}: {seen}"
        )
    else:
        screen.say(f"{machine.interface} is down; start it: enroll up")
    if note:
        screen.say(f"device {note['device']}: {life(note)}")
    if note.get("changed"):
        screen.say(_CHANGED)
    ended = bool(note) and note["expires_at"] is not None and note["expires_at"] <= time.time()
    return {"interface": machine.interface, "up": up, "handshake_age": age, "ended": ended, **note}


def _renew(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    if arguments.device in (None, Machine(arguments.interface).note().get("device")):
        return _up(arguments, screen)
    service = _service(arguments, screen)
    if arguments.device not in service.keys:
        raise ValueError(f"you have no device {arguments.device}; yours are {', '.join(service.keys) or 'none'}")
    enrollment = service.present(arguments.device, service.keys[arguments.device])
    _report(enrollment, arguments.device, screen)
    return _result(enrollment, arguments.device)


def _down(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    machine = Machine(arguments.interface)
    machine.check_ours()
    machine.stop_for_good()
    screen.say(f"{machine.interface} is down, and stays down until `enroll up`")
    return {"interface": machine.interface, "up": False}


def _remove(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    machine = Machine(arguments.interface)
    noted = machine.note().get("device")
    name = arguments.device or noted
    if arguments.local:
        machine.check_ours()
        machine.take_down()
        screen.say(f"the interface {machine.interface}, its configuration and key are removed from this machine")
        screen.say(
            f"the registration of {noted or 'its device'} stays; an operator can remove it, or it ends by itself"
        )
        return {"interface": machine.interface, "removed": False}
    if name is None:
        raise ValueError("name the device to remove, such as laptop: enroll remove laptop")
    try:
        service = _service(arguments, screen)
        enrollment = service.absent(name)
    except SelfServiceError as error:
        if name != noted:
            raise
        message = f"{error}. To take the tunnel off this machine all the same: enroll remove --local"
        raise SelfServiceError(message, error.code, error.status) from None
    _report(enrollment, name, screen)
    known = enrollment.before and enrollment.before["public_key"]
    if name == noted or (known is not None and machine.has_tools() and machine.public_key() == known):
        machine.take_down()
        screen.say(f"the interface {machine.interface}, its configuration and key are removed")
    return _result(enrollment, name)


def _devices(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    service = _service(arguments, screen)
    for device in service.listed["devices"]:
        blocked = f"; blocked: {device['blocked']}" if device["blocked"] is not None else ""
        screen.line(f"{device['device']:16} {', '.join(device['addresses'])}  {life(device)}{blocked}")
    return {"devices": service.listed["devices"], "limit": service.listed["limit"]}


def _phone(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    output = arguments.output and Path(arguments.output)
    if output and output.suffix not in (*_CODES, ".conf"):
        raise ValueError(f"--output {output} is refused; expected a name that ends with .svg, .png or .conf")
    if output is None or output.suffix in _CODES:
        terminal.check(None if output else sys.stdout)
    service = _service(arguments, screen)
    if arguments.device in service.keys and not arguments.new_key:
        enrollment = service.present(arguments.device, service.keys[arguments.device])
        _report(enrollment, arguments.device, screen)
        screen.say("its key was shown once and isn't stored; --new-key makes another one, for the phone to scan")
        return _result(enrollment, arguments.device)
    sample = render(_apps_tunnel(arguments, longest(service.listed)), private_key=new_key()[0])
    if output is None:
        terminal.check_size(sys.stdout, sample)
    elif output.suffix in _CODES:
        qr_code(sample, output.suffix)
    private_key, public_key = new_key()
    with _new_file(output) as file:
        enrollment = service.present(arguments.device, public_key, rotate=arguments.new_key)
        tunnel = _apps_tunnel(arguments, enrollment)
        text = render(tunnel, private_key=private_key)
        if output and file:
            file.write(text.encode() if output.suffix == ".conf" else qr_code(text, output.suffix))
    if output:
        screen.say(f"{output} holds the private key: delete it once the app has it")
    else:
        message = "Scan this with the WireGuard app. It is shown once. Press Enter when done."
        terminal.show_once(text, message, sys.stdout, sys.stdin)
    return _given(enrollment, arguments.device, tunnel, screen)


@contextlib.contextmanager
def _new_file(path: Path | None) -> Iterator[BinaryIO | None]:
    """Open a file for a secret; nothing is left of it if that fails which it is for."""
    if path is None:
        yield None
        return
    # nobody may have it open already
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        try:
            yield file
        except BaseException:
            path.unlink()
            raise


def _app(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    output = Path(arguments.output)
    if output.is_dir() or not os.access(output if output.exists() else output.parent, os.W_OK):
        raise ValueError(f"--output {output} can't be written; nothing was registered")
    service = _service(arguments, screen)
    enrollment = service.present(arguments.device, arguments.public_key, rotate=arguments.new_key)
    tunnel = _apps_tunnel(arguments, enrollment)
    output.write_text(render(tunnel), encoding="utf-8")
    screen.say(f"the configuration is in {output}; put it below the PrivateKey line that the app has")
    return {**_given(enrollment, arguments.device, tunnel, screen), "output": arguments.output}


def _web(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    settings_of(arguments.settings)
    page = Page(partial(ask, arguments.settings, arguments.profile), arguments.port)
    screen.say("the page is open until you close it, or press Ctrl+C here")
    screen.line(f"        {page.address}")
    if not arguments.no_browser:
        threading.Thread(target=open_in_browser, args=(page,)).start()
    with contextlib.suppress(KeyboardInterrupt):
        page.serve()
    return {"closed": True}


_COMMANDS: dict[str, Callable[[argparse.Namespace, Screen], dict[str, Any]]] = {
    "up": _up,
    "status": _status,
    "remind": _remind_of_end,
    "renew": _renew,
    "down": _down,
    "remove": _remove,
    "devices": _devices,
    "phone": _phone,
    "app": _app,
    "web": _web,
}


# -- what they share


def _service(arguments: argparse.Namespace, screen: Screen) -> SelfService:
    """Ask the function what it has of the user; a tunnel of this machine that is in the way is taken down.

    R18, recovery: an ended registration leaves a tunnel through which nothing is found any more, the function neither.
    """
    machine = Machine(arguments.interface)
    try:
        return _ask(arguments, screen)
    except SelfServiceError as error:
        if error.code not in _MAYBE_THE_TUNNEL or not machine.is_ours_and_up():
            raise
        screen.say(f"{error}; {machine.interface} may be in the way: taking it down, and trying again")
    machine.stop()
    return _ask(arguments, screen)


def _ask(arguments: argparse.Namespace, screen: Screen) -> SelfService:
    return ask(arguments.settings, arguments.profile, screen.ask if sys.stdin.isatty() else None)


def _wanted_dns(arguments: argparse.Namespace) -> DnsFlavour | None:
    return None if arguments.dns == _AUTO else dns_flavour(arguments.dns)


def _apps_tunnel(arguments: argparse.Namespace, enrollment: Enrollment) -> ClientTunnel:
    return app_tunnel(enrollment, arguments.gateway, _wanted_dns(arguments), arguments.exclude_network or [])


def _given(enrollment: Enrollment, name: str, tunnel: ClientTunnel, screen: Screen) -> dict[str, Any]:
    """Report on a device that is another one than this machine."""
    _report(enrollment, name, screen)
    if enrollment.in_force_from is not None:
        screen.say(f"the gateways know it by {utc(enrollment.in_force_from)}")
    left_out = names_left_out(tunnel)
    if left_out is not None:
        screen.say(left_out)
    _remind(enrollment, screen)
    return _result(enrollment, name)


def _report(enrollment: Enrollment, name: str, screen: Screen) -> None:
    screen.say(f"device {name}: {enrollment.done}")
    if enrollment.device is not None:
        screen.say(f"its addresses are {', '.join(enrollment.device['addresses'])}; {life(enrollment.device)}")


def _remind(enrollment: Enrollment, screen: Screen) -> None:
    for device in enrollment.due:
        screen.say(f"your device {device['device']} {life(device)}")


def _note(enrollment: Enrollment, tunnel: ClientTunnel) -> dict[str, Any]:
    device = enrollment.device or {}
    kept = ("device", "addresses", "expires_at", "renewable_from")
    said = {"endpoint": tunnel.endpoint, "tunnel": digest(enrollment.tunnel)}
    return {**{name: device.get(name) for name in kept}, **said}


def _result(enrollment: Enrollment, name: str) -> dict[str, Any]:
    return {
        "device": name,
        "actions": list(enrollment.actions),
        "registration": enrollment.device,
        "in_force_from": enrollment.in_force_from,
        "due": [device["device"] for device in enrollment.due],
    }
