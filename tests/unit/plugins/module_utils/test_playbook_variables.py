# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.playbook_variables import mistyped, problems

OPTIONS: dict[str, dict[str, Any]] = {
    "ask_name": {
        "description": "a device's name",
        "type": "str",
        "required": True,
        "format": "device_name",
    },
    "ask_port": {"description": "a port, 1 to 65535", "type": "int", "range": [1, 65535]},
    "ask_state": {"description": "present or absent", "type": "str", "choices": ["present", "absent"]},
    "ask_device": {"description": "a device", "type": "str", "needs": ["ask_port"]},
    "ask_again": {"description": "whether to ask again", "type": "bool"},
    "ask_zones": {"description": "zones", "type": "list"},
    "shared": {
        "description": "what operators gave",
        "type": "dict",
        "options": {"url": {"description": "a URL", "type": "str", "required": True}},
    },
}


def of(**given: Any) -> list[str]:
    return problems({"ask_name": "abc", **given}, OPTIONS)


def test_what_fits_is_no_problem_as_text_of_the_command_line_or_as_data() -> None:
    given: dict[str, Any] = {"ask_state": "absent", "ask_zones": ["a"], "shared": {"url": "u", "later": 1}}
    assert of(ask_port="443", ask_again="yes", ask_device="x", **given) == []
    assert of(ask_port=65535, ask_again=False, ask_device="x", **given) == []


def test_missing_variable_is_named_with_what_is_expected() -> None:
    assert problems({}, OPTIONS) == ["ask_name is not set, expected a device's name"]


def test_variable_that_no_option_declares_is_refused_beside_those_there_are() -> None:
    (problem,) = of(ask_nam="abc")
    assert problem.startswith("ask_nam is no variable of this playbook, which has ask_name, ask_port, ")


@pytest.mark.parametrize("name", ["a" * 33, "ab\n", "Ab"])
def test_format_binds_the_whole_value(name: str) -> None:
    assert of(ask_name=name) == [f"ask_name is {name}, expected a device's name"]


def test_empty_text_is_as_good_as_none() -> None:
    assert problems({"ask_name": ""}, OPTIONS) == ["ask_name is empty, expected a device's name"]
    assert of(ask_state="", ask_device="") == []
    assert of(ask_device="x", ask_port="") == ["ask_device is set, and ask_port is not: expected a port, 1 to 65535"]


@pytest.mark.parametrize("port", [0, 65536, "-1"])
def test_number_out_of_range_is_refused(port: int | str) -> None:
    assert of(ask_port=port) == [f"ask_port is {port}, expected a port, 1 to 65535"]


@pytest.mark.parametrize(
    ("given", "otherwise"),
    [
        ({"ask_name": 12}, "ask_name is 12, not a text in quotes; expected"),
        ({"ask_port": "http"}, "ask_port is http, not a whole number; expected"),
        ({"ask_again": "perhaps"}, "ask_again is perhaps, neither true nor false; expected"),
        ({"ask_zones": {}}, "ask_zones is a dictionary, not a list; expected"),
        ({"ask_name": ["a private key"]}, "ask_name is a list, not a text in quotes; expected"),
        ({"shared": "x"}, "shared is x, not a dictionary; expected"),
        ({"ask_state": "gone"}, "ask_state is gone, expected present or absent"),
    ],
)
def test_value_of_another_kind_is_shown(given: dict[str, Any], otherwise: str) -> None:
    (problem,) = of(**given)
    assert problem.startswith(otherwise)


def test_variable_that_needs_another_names_it() -> None:
    assert of(ask_device="x") == ["ask_device is set, and ask_port is not: expected a port, 1 to 65535"]


def test_part_of_a_dictionary_is_named_by_its_path() -> None:
    assert of(shared={}) == ["shared.url is not set, expected a URL"]


def test_part_of_a_list_is_named_by_its_place() -> None:
    own = {"description": "12 digits", "type": "raw", "required": True}
    option = {"description": "accounts", "type": "list", "options": {"id": own}}
    assert problems({"accounts": [{"id": 444455556666}, {"id": "x", "more": 1}]}, {"accounts": option}) == []
    assert problems({"accounts": ["444455556666", {}]}, {"accounts": option}) == [
        "accounts[0] is 444455556666, not a dictionary; expected accounts",
        "accounts[1].id is not set, expected 12 digits",
    ]


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        ("account_id", "012345678901", "12345"),
        ("user_name", "Alice.B+c@d_e=f,g-h", "alice/b"),
        ("label", "alice/b", "alice/b/c"),
        ("label", " alice/b ", "alice /b"),
    ],
)
def test_accounts_and_users_have_the_forms_of_iam(form: str, good: str, bad: str) -> None:
    options = {"whom": {"description": "somebody", "type": "str", "format": form}}
    assert problems({"whom": good}, options) == []
    assert problems({"whom": bad}, options) == [f"whom is {bad}, expected somebody"]


@pytest.mark.parametrize(
    ("form", "good", "bad", "said"),
    [
        ("time_span", "36500d", "36501d", "is longer than 100 years; expected at most 36500d"),
        ("time_span", "90m", "90", "is not a time span; expected a number with s, m, h or d, such as 30d"),
        ("time_span", "1s", "never", "is not a time span"),
        ("life", "never", "ever", "is not a time span"),
        ("life", "12h", "0h", "is not a time span"),
    ],
)
def test_time_spans_are_those_that_modules_read(form: str, good: str, bad: str, said: str) -> None:
    options = {"ask_within": {"description": "how long", "type": "str", "format": form}}
    assert problems({"ask_within": good}, options) == []
    (problem,) = problems({"ask_within": bad}, options)
    assert problem.startswith(f"ask_within '{bad}' {said}")


def test_what_cant_become_a_file_is_refused_by_the_variables_name(tmp_path: Path) -> None:
    options = {"ask_file": {"description": "a file", "type": "path", "format": "file_to_write"}}
    assert problems({"ask_file": str(tmp_path / "new.json")}, options) == []
    (problem,) = problems({"ask_file": str(tmp_path)}, options)
    assert problem.startswith(f"ask_file: {tmp_path} is a directory, expected the path of a file")


def test_r16_a_label_beside_another_device_is_refused() -> None:
    options: dict[str, dict[str, Any]] = {
        "why_user_name": {"description": "a name or label", "type": "str", "format": "label"},
        "why_device": {"description": "a device", "type": "str", "format": "device_name"},
    }
    assert problems({"why_user_name": "alice/laptop", "why_device": "phone"}, options) == [
        "why_user_name is the label alice/laptop, and why_device is phone: expected one of them"
    ]
    assert problems({"why_user_name": "alice", "why_device": "phone"}, options) == []


WHOM: dict[str, dict[str, Any]] = {
    "cut_name": {
        "description": "a name or label",
        "type": "str",
        "format": "label",
        "needs_one_of": ["cut_device", "cut_all"],
    },
    "cut_device": {"description": "one device", "type": "str"},
    "cut_all": {"description": "true, for all of them", "type": "bool"},
}


@pytest.mark.parametrize("more", [{"cut_device": "laptop"}, {"cut_all": True}, {"cut_all": "yes"}])
def test_name_with_one_device_or_with_all_in_so_many_words_says_how_far_an_order_goes(more: dict[str, Any]) -> None:
    assert problems({"cut_name": "kim", **more}, WHOM) == []


def test_label_says_which_device_by_itself() -> None:
    assert problems({"cut_name": "kim/laptop"}, WHOM) == []


@pytest.mark.parametrize("no", [False, "", None, "no", "n", "f", " false", "No ", 0, 0.0, "0"])
def test_every_way_to_write_no_is_a_no(no: object) -> None:
    (problem,) = problems({"cut_name": "kim", "cut_all": no}, WHOM)
    assert problem.startswith("cut_name is set, and not what of kim is meant")
    assert problems({"cut_name": "kim", "cut_device": "laptop", "cut_all": no}, WHOM) == []


def test_device_whose_name_reads_as_a_no_is_a_device() -> None:
    assert problems({"cut_name": "kim", "cut_device": "no"}, WHOM) == []


@pytest.mark.parametrize(
    "more", [{}, {"cut_all": False}, {"cut_device": ""}, {"cut_all": ""}, {"cut_device": "", "cut_all": ""}]
)
def test_leaving_out_how_far_an_order_goes_never_means_everything(more: dict[str, Any]) -> None:
    (problem,) = problems({"cut_name": "kim", **more}, WHOM)
    assert problem.startswith(
        "cut_name is set, and not what of kim is meant: expected cut_device (one device), or cut_al"
    )


@pytest.mark.parametrize(
    ("name", "more", "said"),
    [
        ("kim", {"cut_device": "laptop", "cut_all": True}, "cut_device and cut_all are given, expected one of them"),
        ("kim/phone", {"cut_device": "laptop"}, "the label kim/phone and cut_device are given, expected one of them"),
    ],
)
def test_order_that_says_how_far_it_goes_twice_is_refused(name: str, more: dict[str, Any], said: str) -> None:
    assert problems({"cut_name": name, **more}, WHOM) == [said]


KNOWN = ["vpn_account_id", "vpn_release_held", "vpn_guard_share", "vpn_guard_count", "gateway_mtu", "client_dns"]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("vpn_acount_id", "vpn_account_id"),
        ("vpn_realease_held", "vpn_release_held"),
        ("vpn_guard_shar", "vpn_guard_share"),
        ("gateway_mtuu", "gateway_mtu"),
        ("client_dsn", "client_dns"),
    ],
)
def test_r16_name_that_is_nearly_one_that_is_read_is_refused(name: str, nearest: str) -> None:
    (problem,) = mistyped([name, "vpn_account_id"], KNOWN)
    assert f"{name} is no variable of tracklib.vpn, and nearly {nearest}: correct it" in problem
    assert mistyped([name], [*KNOWN, name]) == []


@pytest.mark.parametrize(
    "name", ["vpn_team", "gateway_owner", "vpn_account_name", "my_vpn_account_id", "clients", "ansible_host"]
)
def test_other_names_are_nobodys_business(name: str) -> None:
    assert mistyped([name], KNOWN) == []


def test_letter_that_only_looks_like_another_is_named() -> None:
    options = {"x_user_name": {"description": "a name", "type": "str", "format": "user_name"}}
    said = problems({"x_user_name": "b\u043eb"}, options)
    assert said == ["x_user_name is b\u043eb, whose letter 2 is U+043E (CYRILLIC SMALL LETTER O), expected a name"]
