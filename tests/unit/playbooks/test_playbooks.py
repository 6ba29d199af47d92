# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Playbooks have one interface: the variables that vars/argument_specs.yml declares, and what roles make public."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Environment

ROOT = Path(__file__).parents[3]
PLAYBOOKS = ROOT / "playbooks"
SPECS: dict[str, dict[str, Any]] = yaml.safe_load((PLAYBOOKS / "vars" / "argument_specs.yml").read_text())
AWS_TAGS = ('"{{ control_plane_tags }}"', '"{{ hosts_lines_tags | default(omit, true) }}"')  # options of modules
SOURCES = sorted(path for path in PLAYBOOKS.rglob("*") if path.suffix in (".yml", ".j2") and path.parent.name != "vars")
EVERYWHERE = "all:localhost"
NAMES = sorted(path.stem for path in PLAYBOOKS.glob("*.yml"))


def _text(name: str) -> str:
    """Return what a playbook and its own task files and templates do, without comments."""
    own = [path for path in SOURCES if path.stem == name or path.stem.startswith(f"{name}_")]
    return "\n".join(re.sub(r"^ *#.*", "", path.read_text(), flags=re.MULTILINE) for path in own)


@pytest.mark.parametrize("name", NAMES)
def test_every_variable_that_begins_with_the_playbooks_name_is_declared(name: str) -> None:
    text = _text(name)
    used = set(re.findall(rf"(?<![\w.'/]){name}_\w+\b(?!['.])", text))
    declared = {option for option in SPECS.get(name, {}).get("options", {}) if option.startswith(f"{name}_")}
    roles = {path.name for path in (ROOT / "roles").iterdir()}
    if name not in roles:  # whose variables its own argument spec declares
        assert used == declared


def test_r16_known_variables_are_those_that_roles_and_playbooks_read() -> None:
    """By them mistyped ones are found."""
    specs = [
        yaml.safe_load(path.read_text())["argument_specs"] for path in ROOT.glob("roles/*/meta/argument_specs.yml")
    ]
    options = {option for spec in specs for entry in spec.values() for option in entry["options"]}
    texts = [path.read_text() for place in (PLAYBOOKS, ROOT / "roles") for path in place.rglob("*.yml")]
    shared = {name for text in texts for name in re.findall(r"(?<![\w.])vpn_[a-z]\w*", text)} - {"vpn_gateways"}
    made_by_roles = {"client_dns_used", "gateway_result"}
    known = yaml.safe_load((PLAYBOOKS / "vars/known_variables.yml").read_text())["known_variables"]
    assert known == sorted(options | shared | made_by_roles)


@pytest.mark.parametrize("name", SPECS)
def test_playbook_that_declares_variables_checks_them_first(name: str) -> None:
    play = next(play for play in yaml.safe_load((PLAYBOOKS / f"{name}.yml").read_text()) if play["hosts"] != EVERYWHERE)
    whole, variables = (play.get("pre_tasks") or play["tasks"])[:2]
    assert whole["ansible.builtin.import_tasks"] == "tasks/check_run.yml"
    assert variables["ansible.builtin.import_tasks"] == "tasks/check_variables.yml"
    assert variables["vars"] == {"_vpn_playbook": name}


def _with_imported(path: Path) -> str:
    text = path.read_text()
    imported = re.findall(r"(?:import|include)_tasks: (?:tasks/)?(\w+\.yml)", text)
    return text + "".join(_with_imported(PLAYBOOKS / "tasks" / name) for name in imported)


# without them `revoke` cuts off, and what `deploy` needs is its role's
@pytest.mark.parametrize("name", sorted(SPECS.keys() - {"revoke", "deploy"}))
def test_r16_shared_variable_that_a_playbook_cant_do_without_is_asked_for(name: str) -> None:
    shared = yaml.safe_load((PLAYBOOKS / "vars/known_variables.yml").read_text())["shared_options"]
    text = re.sub(r"(?m)^ *#.*", "", _with_imported(PLAYBOOKS / f"{name}.yml"))
    read = {each for each in shared if re.search(rf"(?<![\w.'^]){each}\b(?!\)? \| default|\$)", text)}
    assert set(SPECS[name].get("shared", [])) == read - {"vpn_identity_accounts", "vpn_release_held"}


@pytest.mark.parametrize("path", sorted(PLAYBOOKS.glob("*.yml")), ids=lambda path: path.stem)
def test_r16_every_play_first_refuses_to_be_a_part_of_itself(path: Path) -> None:
    first, *later = plays = yaml.safe_load(path.read_text())
    checks = [(first, "tasks/check_run.yml")]
    if {play["hosts"] for play in plays} <= {EVERYWHERE, "localhost"}:
        checks = [(first, "tasks/check_localhost.yml"), (later.pop(0), "tasks/check_run.yml")]
    checks += [(play, "tasks/check_limit.yml") for play in later if play["hosts"] != "localhost"]
    for play, check in checks:
        task = (play.get("pre_tasks") or play["tasks"])[0]
        assert (task["ansible.builtin.import_tasks"], task["tags"]) == (check, ["always"])


@pytest.mark.parametrize("name", SPECS)
def test_variables_carry_the_playbooks_name_or_are_shared(name: str) -> None:
    assert [option for option in SPECS[name]["options"] if not option.startswith((f"{name}_", "vpn_"))] == []


ON_TARGETS = {"hosts_lines_file"}  # paths on the hosts that the playbook writes to


@pytest.mark.parametrize("name", SPECS)
def test_empty_text_is_as_good_as_none(name: str) -> None:
    """A form, such as a survey of AWX, sends it where a field was left alone."""
    optional = [option for option, spec in SPECS[name]["options"].items() if not spec.get("required")]
    used = "|".join(optional) or "-"
    asked = re.findall(rf"\b(?:{used})\b(?: is (?:not )?defined| \| default\((?:[^()]|\([^()]*\))*\))", _text(name))
    assert [use for use in asked if not use.endswith((", true)", "default('')", "default(120)"))] == []


@pytest.mark.parametrize("name", SPECS)
def test_paths_of_the_controller_begin_where_the_caller_stands(name: str) -> None:
    paths = {option for option, spec in SPECS[name]["options"].items() if spec["type"] == "path"} - ON_TARGETS
    text = _text(name)
    uses = re.findall(r"(?<!\w)(?:dest|src|path|_vpn_written): .*", text)
    assert [use for use in uses for path in paths if path in use and "| tracklib.vpn.callers_path" not in use] == []
    assert not paths or "| tracklib.vpn.callers_path" in text or "_vpn_answer_file: " in text  # tasks/answer.yml


def test_each_device_that_is_handed_out_has_a_file_of_its_own() -> None:
    variables = yaml.safe_load((PLAYBOOKS / "handout.yml").read_text())[-1]["vars"]

    def file_of(user_name: str, device: str, **more: str) -> str:
        given = {"handout_user_name": user_name, "handout_device": device, "vpn_account_id": "111122223333", **more}
        account = Environment().from_string(variables["_handout_account"]).render(given)
        return Environment().from_string(variables["_handout_file"]).render(given, _handout_account=account)

    names = [
        *(file_of("kim", "a-b"), file_of("kim-a", "b"), file_of("kim_a", "b"), file_of("kim@a", "b")),
        *(file_of("kim", "b", handout_account_id=each) for each in ("111122223333", "444455556666", "777788889999")),
        file_of("kim_b@444455556666", "b"),
    ]
    assert len(set(names)) == len(names)
    assert names[0] == "kim_a-b.conf.age"
    assert file_of("kim", "a-b", handout_form="page") == "kim_a-b.html"
    assert names[-3] == "kim_b@444455556666.conf.age"


@pytest.mark.parametrize("name", SPECS)
def test_example_gives_what_is_required(name: str) -> None:
    example, options = SPECS[name]["example"], SPECS[name]["options"]
    assert f"tracklib.vpn.{name}" in example
    required = [option for option in options if options[option].get("required") and not option.startswith("vpn_")]
    assert [option for option in required if option not in example] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PLAYBOOKS)))
def test_no_playbook_reads_what_is_private_to_a_role(path: Path) -> None:
    private = "|".join(role.name for role in (ROOT / "roles").iterdir() if role.is_dir())
    assert re.findall(rf"(?<!\w)_(?:{private})_\w+", path.read_text()) == []


def test_r17_one_gateway_keeps_no_other_and_no_report_waiting_whatever_ansible_cfg_says() -> None:
    plays = [
        play
        for path in PLAYBOOKS.glob("*.yml")
        for play in yaml.safe_load(path.read_text())
        if "vpn_gateways" in play["hosts"]
    ]
    together = [play for play in plays if play["hosts"] == "vpn_gateways:localhost"]
    assert len(together) == 3
    assert {play["any_errors_fatal"] for play in together} == {False}


# What installs, or reads all users, all devices, or many services of AWS.
SLOW = {
    *("amazon.aws.cloudformation", "amazon.aws.s3_object", "ansible.builtin.apt"),
    *(
        f"tracklib.vpn.{name}"
        for name in (
            *("devices_info", "early_signs", "handout", "name_diagnosis_info", "name_probe", "registry_cleanup"),
            *("registry_export", "registry_import", "roster", "service_names", "service_names_info"),
        )
    ),
}


def _tasks(given: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """All tasks, those within blocks and plays, too."""
    for each in given:
        inner = [each.get(part, []) for part in ("pre_tasks", "tasks", "post_tasks", "block", "rescue", "always")]
        yield from _tasks([task for part in inner for task in part])
        yield each


def test_task_that_may_take_some_seconds_says_so_before_it_begins() -> None:
    """A callback shows its name then, and nothing until it ends."""
    files = [*PLAYBOOKS.glob("*.yml"), *PLAYBOOKS.glob("tasks/*.yml"), *ROOT.glob("roles/*/tasks/*.yml")]
    slow = [task for path in files for task in _tasks(yaml.safe_load(path.read_text())) if SLOW & set(task)]
    assert {module for task in slow for module in SLOW & set(task)} == SLOW
    told = re.compile(r"\b(?:seconds|minutes)\b")
    assert [each["name"] for each in slow if not told.search(each["name"])] == []


def test_no_template_builds_lists_of_its_own() -> None:
    templates = [path for part in ("playbooks", "roles") for path in (ROOT / part).rglob("*")]
    building = re.compile(r"\{%-?\s*(?:set _\b|do )|namespace\(")
    assert [path for path in templates if path.suffix in (".yml", ".j2") and building.search(path.read_text())] == []


@pytest.mark.parametrize("path", [*ROOT.glob("roles/*/tasks/*.yml"), *SOURCES], ids=str)
def test_no_task_has_a_tag(path: Path) -> None:
    """A play that includes a role would run no task for a tag of the role's, and end with success.

    Only what refuses tags runs whatever the tags are.
    """
    assert set(re.findall(r"^ *tags: (.*)", path.read_text(), flags=re.MULTILINE)) <= {"[always]", *AWS_TAGS}
