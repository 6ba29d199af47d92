# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The script for users without Ansible, packed into one file from the modules that the collection has, too.

The same modules and settings give the same bytes on every machine, so that its SHA-256 can be published.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Mapping

from ansible_collections.tracklib.vpn.plugins.module_utils.archive import File, Files, zipped
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll.device import checked
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll.function import Function, SelfServiceError
from ansible_collections.tracklib.vpn.plugins.module_utils.names import dns as names

PACKAGE = "tracklib_vpn"
SHEBANG = b"#!/usr/bin/env python3\n"
MAIN = f"from {PACKAGE}.enroll.script import main\n\nmain()\n"
MODULES = (
    "addresses.py", "client/__init__.py", "client/config.py", "client/overlap.py", "client/qr.py", "enroll/__init__.py",
    "enroll/connect.py", "enroll/credentials.py", "enroll/device.py", "enroll/function.py", "enroll/machine.py",
    "enroll/page.html", "enroll/reminder.py", "enroll/script.py", "enroll/service.py", "enroll/terminal.py",
    "enroll/tunnel.py", "enroll/web.py", "keys.py", "model.py", "names/__init__.py", "names/dns.py",
    "wireguard/__init__.py", "wireguard/managed.py",
)  # fmt: skip
SETTINGS = "enroll/settings.json"
NEEDED = ("function_arn", "manage_url", "renew_url")
KNOWN = (*NEEDED, "check_name", "sts_url")


def read_modules(utils: Path) -> Files:
    """The files that the script consists of.

    :param utils: the directory plugins/module_utils.
    :raises OSError: one isn't there.
    """
    return {name: File((utils / name).read_bytes()) for name in MODULES}


def pack(modules: Files, settings: Mapping[str, Any] | None = None) -> bytes:
    """Pack the script.

    :param modules: what read_modules() gives.
    :param settings: what the operators set, as the playbook's variable `vpn_self_service`, to go into the script;
        everybody who gets the script can read it.
    :raises ValueError: the settings lack something, or have what isn't theirs, such as a secret.
    """
    files = {f"{PACKAGE}/__init__.py": File(b""), "__main__.py": File(MAIN.encode())}
    files.update({f"{PACKAGE}/{name}": modules[name] for name in MODULES})
    if settings is not None:
        files[f"{PACKAGE}/{SETTINGS}"] = File(settings_file(settings).encode())
    return SHEBANG + zipped(files)


def settings_file(settings: Mapping[str, Any]) -> str:
    """The settings as the file that the script and the playbook `enroll` read.

    :raises ValueError: as `pack`, or a value isn't what it should be.
    """
    missing, strangers = set(NEEDED) - set(settings), set(settings) - set(KNOWN)
    if missing:
        raise ValueError(f"the settings lack {', '.join(sorted(missing))}")
    if strangers:
        raise ValueError(
            f"the settings have {', '.join(sorted(strangers))}, which the script doesn't know, and everybody who gets "
            f"it could read. Known: {', '.join(KNOWN)}"
        )
    unfit = [name for name, value in settings.items() if not isinstance(value, str)]
    if unfit:
        raise ValueError(f"the settings' {', '.join(sorted(unfit))} must be text")
    try:
        arn, manage_url, renew_url = (settings[name] for name in NEEDED)
        checked(Function(arn, manage_url, renew_url, settings.get("sts_url")))
    except SelfServiceError as error:
        raise ValueError(str(error)) from None
    if "check_name" in settings:
        names.parse(settings["check_name"], "check_name")
    return json.dumps({"vpn_self_service": dict(settings)}, indent=2, sort_keys=True) + "\n"
