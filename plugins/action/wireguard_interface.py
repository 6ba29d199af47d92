# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The controller's half of M(tracklib.vpn.wireguard_interface), whose documentation has the options.

Renders both templates once, by plain Jinja2: Ansible's templating takes seconds for thousands of peers, and would run
what a name holds (R15, data is never code). One command transfers the result, one runs the module.
"""

from __future__ import annotations

import json
import re
import shlex
import tempfile
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.tracklib.vpn.plugins.filter.gateway_addresses import gateway_addresses
from ansible_collections.tracklib.vpn.plugins.filter.granted_networks import granted_networks
from jinja2 import FileSystemLoader, StrictUndefined, TemplateError
from jinja2.sandbox import SandboxedEnvironment

FORMAT = 2  # of the file that goes to the gateway
_ROSTER_FORMAT = 2
_RENDERED_HERE = ("template", "firewall_template", "variables", "roster")
_RUN_DIR = "/run/tracklib-vpn"  # in memory, root's alone

# What these hold can't end a line of the configuration or say anything else in it (R15, data is never code).
_PUBLIC_KEY = re.compile(r"[A-Za-z0-9+/]{43}=")
_ALLOWED_IP = re.compile(r"[0-9A-Fa-f:.]+/[0-9]{1,3}")
_UNSAFE = re.compile(r"[^A-Za-z0-9_+=,.@-]")
# what a template can raise, whether of Jinja2 or of the Python below it
_UNRENDERED = (
    AnsibleError,
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TemplateError,
    TypeError,
    ValueError,
)
_NAMES = ("account_id", "user_id", "user_name", "device")
_REGISTRY = ("identity", "account_id", "region", "table", "table_id")


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible brings no types
    """Renders, transfers, and runs the module."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        options = {name: value for name, value in self._task.args.items() if name not in _RENDERED_HERE}
        if options.get("revoke"):
            return self._run_module(options, task_vars)
        missing = [name for name in ("roster", "template", "firewall_template") if not self._task.args.get(name)]
        if missing:
            raise AnsibleActionFail(
                f"missing: {', '.join(missing)}; or give revoke, to take a user off without a roster"
            )
        document = self._document(read_roster(Path(self._task.args["roster"]).expanduser()))
        options["config_file"] = self._transfer(json.dumps(document, separators=(",", ":")).encode())
        result: dict[str, Any] = self._run_module(options, task_vars)
        if not result.pop("config_file_removed", False):  # the module didn't get that far
            self._low_level_execute_command(f"rm -f {shlex.quote(options['config_file'])}")
        return result

    def _run_module(self, options: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        result: dict[str, Any] = self._execute_module(
            module_name="tracklib.vpn.wireguard_interface", module_args=options, task_vars=task_vars
        )
        return result

    def _document(self, roster: dict[str, Any]) -> dict[str, Any]:
        """Make all that the gateway needs. What can't be rendered keeps no revocation from going, and no other peer."""
        peers, unfit = sort_out(roster["peers"])
        document = {
            "format": FORMAT,
            "generation": int(roster["generation"]),
            "made_at": int(roster["made_at"]),
            "registry": {name: _safe(roster["registry"][name]) for name in _REGISTRY},
            "revoked": _with_reason(roster["revoked"], explained=True),
            "excluded": _with_reason(roster["excluded"]),
            "removed": _with_reason(roster["removed"], explained=True),
            "unfit": unfit,
            "awaited": [key for key in map(_well_formed, roster.get("awaited", ())) if key],
            "acknowledge": [str(removal_id) for removal_id in roster.get("acknowledge", ())],
        }
        if roster.get("refused"):
            return {**document, "config_error": str(roster["refused"])}
        for option, result in (("template", "config"), ("firewall_template", "firewall")):
            try:
                document[result] = self._render(option, {**roster, "peers": peers})
            except _UNRENDERED as error:
                document[f"{result}_error"] = f"{option} {self._task.args[option]}: {type(error).__name__}: {error}"
        return document

    def _render(self, option: str, roster: dict[str, Any]) -> str:
        places = self._task.get_search_path()
        template = Path(self._loader.path_dwim_relative_stack(places, "templates", self._task.args[option]))
        variables = {**(self._task.args.get("variables") or {}), "name": self._task.args.get("name", "wg0")}
        return render(template, roster, variables)

    def _transfer(self, data: bytes) -> str:
        """Write the file on the gateway, by one command where the connection gives commands an input; its path."""
        if self._connection.has_pipelining:
            return self._path_from(
                _RUN_DIR,
                f"umask 077 && mkdir -p {_RUN_DIR} && file=$(mktemp {_RUN_DIR}/apply.XXXXXXXXXX)"
                ' && cat > "$file" && echo "$file"',
                in_data=data,
            )
        # as the user who logs in, as whom the connection writes; root may read and remove it
        path = self._path_from("the temporary directory", "mktemp", sudoable=False)
        with tempfile.NamedTemporaryFile(prefix="tracklib-vpn-") as file:  # mode 0600
            file.write(data)
            file.flush()
            self._connection.put_file(file.name, path)
        return path

    def _path_from(self, directory: str, command: str, **options: Any) -> str:
        """What a command on the gateway prints last: the path of the file that it made in that directory."""
        result = self._low_level_execute_command(command, **options)
        if result["rc"] != 0:
            raise AnsibleActionFail(
                f"can't write to {directory} on the gateway: {result['stderr'].strip()}; is it root?"
            )
        return str(result["stdout"]).strip().splitlines()[-1]


def read_roster(path: Path) -> dict[str, Any]:
    """The roster that M(tracklib.vpn.roster) wrote. Raises AnsibleActionFail if it isn't one."""
    try:
        roster: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found = roster["format"]
    except FileNotFoundError:
        raise AnsibleActionFail(f"there is no roster {path}; run the module tracklib.vpn.roster first") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AnsibleActionFail(f"{path} is no roster: {error}") from error
    if found != _ROSTER_FORMAT:
        raise AnsibleActionFail(
            f"{path} is a roster of format {found}, expected {_ROSTER_FORMAT}; make a new one with the module "
            "tracklib.vpn.roster"
        )
    registry = roster.get("registry")
    if not isinstance(registry, dict) or not all(registry.get(name) for name in _REGISTRY):
        raise AnsibleActionFail(
            f"{path} doesn't say which registry it was made from; make a new one with the module tracklib.vpn.roster"
        )
    return roster


def render(template: Path, roster: dict[str, Any], variables: dict[str, Any]) -> str:
    """A template's text for a roster whose peers sort_out() found fit. Raises TemplateError."""
    environment = SandboxedEnvironment(
        loader=FileSystemLoader(template.parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(gateway_addresses=gateway_addresses, granted_networks=granted_networks)
    facts = {
        "generation": int(roster["generation"]),
        "made_at": int(roster["made_at"]),
        "peers": roster["peers"],
    }
    return environment.get_template(template.name).render({**variables, **facts})


def sort_out(entries: list[Any]) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """The peers that can be written, and for each of the others who it is and why not (R17, one bad item)."""
    peers, unfit = [], []
    for entry in entries:
        try:
            peers.append(_peer(entry))
        except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
            problem = f"no {error}" if isinstance(error, KeyError) else str(error)
            unfit.append({**_names(entry), "public_key": _key(entry), "problem": problem})
    return peers, unfit


def _peer(entry: dict[str, Any]) -> dict[str, Any]:
    names = _names(entry)
    if not all(names.values()):
        raise ValueError("it isn't said whose it is")
    if not _key(entry):
        raise ValueError("the public key isn't 32 bytes of base64")
    if not all(_ALLOWED_IP.fullmatch(address) for address in entry["allowed_ips"]):
        raise ValueError("an allowed address isn't in CIDR form")
    return {
        **names,
        "public_key": entry["public_key"],
        "allowed_ips": list(entry["allowed_ips"]),
        "expires_at": None if entry["expires_at"] is None else int(entry["expires_at"]),
        "held": entry["held"],
    }


def _names(entry: Any) -> dict[str, str]:
    """Whose entry it is; what it doesn't say is empty."""
    said = entry if isinstance(entry, dict) else {}
    return {name: _safe(said.get(name) or "") for name in _NAMES}


def _key(entry: Any) -> str:
    """The public key of an entry; empty if no device can have it."""
    return _well_formed(entry.get("public_key")) if isinstance(entry, dict) else ""


def _well_formed(key: Any) -> str:
    return key if isinstance(key, str) and _PUBLIC_KEY.fullmatch(key) else ""


def _safe(text: Any) -> str:
    return _UNSAFE.sub("?", str(text))


def _with_reason(entries: list[Any], *, explained: bool = False) -> list[dict[str, Any]]:
    """Name those whose key a device can have at all, and say why they are no peers.

    :param explained: whether all of them are; otherwise each entry says it.
    """
    return [
        {
            **_names(entry),
            "public_key": _key(entry),
            "reason": _safe(entry.get("reason", "")),
            "explained": explained or entry.get("explained") is True,
            "of_user": entry.get("of_user") is True,
        }
        for entry in entries
        if _key(entry)
    ]
