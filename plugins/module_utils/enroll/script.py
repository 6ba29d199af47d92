# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The script `tracklib-vpn-enroll.pyz`: what the playbook `enroll` does, without Ansible.

Needs Python 3.9, boto3 and WireGuard's tools. `make enroll-script` packs it.
"""

from __future__ import annotations

import argparse
import json
import pkgutil
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

from ..client.config import ClientTunnel, DnsFlavour, dns_flavour, render
from . import function as self_service
from . import terminal
from .device import Enrollment, checked, ensure_absent, ensure_present, gateway, mtu, user_credentials, utc
from .function import Function, SelfServiceError
from .machine import Machine, MachineError, new_key

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.credentials import ReadOnlyCredentials

SETTINGS = "settings.json"  # in the script itself, put there when it was packed

_AUTO = "auto"  # the machine's own way to learn of DNS servers
_DONE = {
    "registered": "registered",
    "rotated": "registered with another key",
    "renewed": "renewed",
    "removed": "removed",
}
_began = time.monotonic()


def main() -> None:
    """Do what the command line says.

    :raises SystemExit: it failed; the message is one sentence.
    """
    arguments = _parser().parse_args()
    try:
        _enroll(arguments)
    except SelfServiceError as error:
        raise SystemExit(f"enroll: {error} ({error.code})") from None
    except (MachineError, terminal.TerminalError, OSError, ValueError) as error:
        raise SystemExit(f"enroll: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit("enroll: interrupted; run it again to go on") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="enroll",
        description="Give this machine a tunnel to the VPN with the AWS credentials of your IAM user. Running it again "
        "changes nothing, or renews the registration.",
    )
    parser.add_argument("device", nargs="?", help="name of the device: 1 to 32 lower-case letters, digits, hyphens")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--phone", action="store_true", help="make a key for a phone, and show it as a QR code once")
    what.add_argument("--remove", action="store_true", help="remove the device, and the tunnel if it is this machine's")
    what.add_argument("--list", action="store_true", help="list your devices")
    parser.add_argument("--new-key", action="store_true", help="make another key")
    parser.add_argument("--settings", metavar="FILE", help="the file that the operators of the VPN gave you")
    parser.add_argument("--profile", help="profile of the AWS credentials")
    parser.add_argument("--gateway", metavar="HOST:PORT", help="the gateway to dial; by default the first")
    parser.add_argument("--interface", default="vpn0", help="name of the WireGuard interface (default %(default)s)")
    flavours = [_AUTO, *(one.value for one in DnsFlavour)]
    parser.add_argument("--dns", choices=flavours, default=_AUTO, help="how to use the DNS servers in the tunnel")
    return parser


def _enroll(arguments: argparse.Namespace) -> None:
    settings = _settings(arguments.settings)
    function = checked(
        Function(settings["function_arn"], settings["manage_url"], settings["renew_url"], settings.get("sts_url"))
    )
    credentials = user_credentials(_session(arguments.profile))
    if arguments.list:
        _list(self_service.devices(credentials, function)["devices"])
        return
    if arguments.device is None:
        raise ValueError("name the device, such as laptop")
    if arguments.remove:
        _remove(arguments, credentials, function)
    elif arguments.phone:
        _phone(arguments, credentials, function)
    else:
        _this_machine(arguments, credentials, function, settings.get("check_name"))


def _session(profile: str | None) -> Session:
    try:
        from boto3.session import Session
        from botocore.exceptions import ProfileNotFound
    except ImportError:
        raise MachineError(
            "boto3 is missing; install it (Debian, Ubuntu: sudo apt install python3-boto3; or: pip install boto3)"
        ) from None
    try:
        return Session(profile_name=profile)
    except ProfileNotFound as error:
        raise MachineError(f"{error}; see ~/.aws/config and ~/.aws/credentials") from None


def _settings(path: str | None) -> dict[str, Any]:
    """What the operators set, from a file or from the script itself: as the playbook's variable vpn_self_service."""
    if path is not None:
        with open(path, "rb") as file:
            text: bytes | None = file.read()
    else:
        try:
            text = pkgutil.get_data(__package__, SETTINGS)
        except OSError:
            text = None
    if text is None:
        raise ValueError("no settings; give the file that the operators of the VPN gave you with --settings FILE")
    try:
        settings: dict[str, Any] = json.loads(text)["vpn_self_service"]
        missing = {"function_arn", "manage_url", "renew_url"} - set(settings)
    except (ValueError, KeyError, TypeError):
        missing = {"vpn_self_service"}
    if missing:
        raise ValueError(f"the settings lack {', '.join(sorted(missing))}; ask the operators of the VPN for their file")
    return settings


def _this_machine(
    arguments: argparse.Namespace, credentials: ReadOnlyCredentials, function: Function, check_name: str | None
) -> None:
    machine = Machine(arguments.interface)
    machine.check()
    dns = machine.dns(_wanted_dns(arguments))
    public_key = machine.ensure_key(arguments.new_key)
    _say(f"the private key is in {machine.key_file} and stays there")
    enrollment = ensure_present(credentials, function, arguments.device, public_key)
    _report(enrollment, arguments.device)
    tunnel = client_tunnel(enrollment, arguments.gateway, dns)
    machine.bring_up(render(tunnel, private_key_file=machine.key_file), enrollment.unknown)
    _say(f"the interface {machine.interface} is up")
    _wait(machine, enrollment, tunnel)
    _check_name(check_name, enrollment, dns)
    _remind(enrollment)


def _phone(arguments: argparse.Namespace, credentials: ReadOnlyCredentials, function: Function) -> None:
    terminal.check(sys.stdout)
    listed = self_service.devices(credentials, function)["devices"]
    present = {device["device"]: device["public_key"] for device in listed}
    if arguments.device in present and not arguments.new_key:
        enrollment = ensure_present(credentials, function, arguments.device, present[arguments.device])
        _report(enrollment, arguments.device)
        _say("its key was shown once and isn't stored; --new-key makes another one, for the phone to scan")
        return
    private_key, public_key = new_key()
    enrollment = ensure_present(credentials, function, arguments.device, public_key)
    dns = _wanted_dns(arguments) or DnsFlavour.LINE
    text = render(client_tunnel(enrollment, arguments.gateway, dns), private_key=private_key)
    message = "Scan this with the WireGuard app. It is shown once. Press Enter when done."
    terminal.show_once(text, message, sys.stdout, sys.stdin)
    _report(enrollment, arguments.device)
    if enrollment.in_force_from is not None:
        _say(f"the gateways know it by {utc(enrollment.in_force_from)}")
    _remind(enrollment)


def _remove(arguments: argparse.Namespace, credentials: ReadOnlyCredentials, function: Function) -> None:
    enrollment = ensure_absent(credentials, function, arguments.device)
    _report(enrollment, arguments.device)
    machine = Machine(arguments.interface)
    if enrollment.before is not None and machine.public_key() == enrollment.before["public_key"]:
        machine.take_down()
        _say(f"the interface {machine.interface}, its configuration and its key are gone")


def _wanted_dns(arguments: argparse.Namespace) -> DnsFlavour | None:
    return None if arguments.dns == _AUTO else dns_flavour(arguments.dns)


def client_tunnel(enrollment: Enrollment, endpoint: str | None, dns: DnsFlavour) -> ClientTunnel:
    """Return what the device's configuration says. :raises ValueError: the function answered without a device."""
    if enrollment.device is None:
        raise ValueError("the function answered without a device; try again")
    dialled = gateway(enrollment.tunnel, endpoint)
    flavour = dns if enrollment.tunnel["domains"] else DnsFlavour.NONE
    return ClientTunnel(
        addresses=enrollment.device["addresses"],
        gateway_public_key=dialled["public_key"],
        endpoint=dialled["endpoint"],
        networks=enrollment.tunnel["networks"],
        dns_servers=enrollment.tunnel["dns_servers"],
        domains=enrollment.tunnel["domains"],
        dns=flavour,
        mtu=mtu(enrollment.tunnel),
    )


def _wait(machine: Machine, enrollment: Enrollment, tunnel: ClientTunnel) -> None:
    """Show progress until the gateway answers a handshake.

    :raises MachineError: it didn't by the time at which it must know this machine.
    """
    bound = enrollment.wait(time.time())
    begun = time.monotonic()
    while not machine.is_known():
        waited = time.monotonic() - begun
        if waited > bound:
            raise MachineError(
                f"gateway {tunnel.endpoint} didn't answer within {bound} s. The registration is made, and this can be "
                "run again. Check that this network lets UDP out to that port and that this machine's clock is "
                "right; then ask the operators of the VPN whether their last reconcile succeeded"
            )
        _say(f"waiting until the gateway knows this machine, {waited:.0f} of at most {bound} s")
        machine.knock(tunnel.keepalive)
        time.sleep(2)
    _say(f"the gateway {tunnel.endpoint} answers")


def _check_name(name: str | None, enrollment: Enrollment, dns: DnsFlavour) -> None:
    if name is None or not enrollment.tunnel["domains"]:
        return
    if dns is DnsFlavour.NONE:
        _say(f"{name} isn't asked of the tunnel: this machine has neither systemd-resolved nor resolvconf in use")
        return
    try:
        addresses = sorted({str(answer[4][0]) for answer in socket.getaddrinfo(name, None)})
    except OSError as error:
        raise MachineError(
            f"the tunnel works, but the private name {name} doesn't resolve ({error}); see `resolvectl status`, or run "
            "this again with --dns line"
        ) from None
    _say(f"the private name {name} resolves to {', '.join(addresses)}")


def _report(enrollment: Enrollment, name: str) -> None:
    done = " and ".join(_DONE[action] for action in enrollment.actions) or "as it should be, nothing to do"
    _say(f"device {name}: {done if enrollment.device or enrollment.actions else 'not registered, nothing to do'}")
    if enrollment.device is not None:
        _say(f"its addresses are {', '.join(enrollment.device['addresses'])}; {_life(enrollment.device)}")


def _remind(enrollment: Enrollment) -> None:
    for device in enrollment.due:
        _say(f"your device {device['device']} {_life(device)}")


def _life(device: dict[str, Any]) -> str:
    if device["expires_at"] is None:
        return "it doesn't expire"
    if device["expires_at"] <= time.time():
        return f"expired at {utc(device['expires_at'])}: renew it"
    return f"expires at {utc(device['expires_at'])} and can be renewed from {utc(device['renewable_from'])} on"


def _list(devices: list[dict[str, Any]]) -> None:
    for device in devices:
        blocked = f"; blocked: {device['blocked']}" if device["blocked"] is not None else ""
        sys.stdout.write(f"{device['device']:16} {', '.join(device['addresses'])}  {_life(device)}{blocked}\n")


def _say(text: str) -> None:
    """One line of progress, with the seconds since the start."""
    sys.stdout.write(f"{time.monotonic() - _began:6.1f}s  {text}\n")
    sys.stdout.flush()
