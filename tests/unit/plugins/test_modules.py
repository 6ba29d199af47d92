# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Modules are thin, and a test shows each of their claims."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support.claims import claims

ROOT = Path(__file__).parents[3]
MODULES = sorted((ROOT / "plugins/modules").glob("*.py"))
MOST_LINES = 160
DOCUMENTATION = ("DOCUMENTATION", "EXAMPLES", "RETURN")

CLAIMS_OF_OURS = "integration/test_module_claims.py::"
READS = CLAIMS_OF_OURS + "test_module_that_reads_says_the_same_again_and_in_check_mode_and_changes_nothing"
NO_DIFF = CLAIMS_OF_OURS + "test_module_without_a_diff_returns_none"
READING = {"check_mode full": READS, "diff_mode N/A": READS, "idempotent full": READS}

# By module and claim, the test that shows it.
IN_A_REGISTRY = dict.fromkeys(
    ("check_mode full", "diff_mode none", "idempotent full"),
    "integration/test_registry_claims.py::test_module_does_what_its_attributes_claim",
)
CLAIMS: dict[str, dict[str, str]] = {
    "bundle": dict.fromkeys(
        ("check_mode full", "diff_mode none", "idempotent full"),
        "integration/control_plane/test_bundle.py::test_module_makes_both_once_and_nothing_in_check_mode",
    ),
    "client_config": {
        "check_mode full": "integration/test_client_config.py::"
        "test_check_mode_writes_nothing_and_the_diff_shows_what_changes",
        "diff_mode full": "integration/test_client_config.py::"
        "test_check_mode_writes_nothing_and_the_diff_shows_what_changes",
        "idempotent full": "integration/test_client_config.py::test_file_is_private_and_a_second_run_changes_nothing",
    },
    "cloud_map_service": {
        "check_mode full": "integration/test_cloud_map.py::test_check_mode_says_what_would_be_and_makes_nothing",
        "diff_mode full": "integration/test_cloud_map.py::"
        "test_namespace_service_and_instance_are_made_and_a_second_run_changes_nothing",
        "idempotent full": "integration/test_cloud_map.py::"
        "test_namespace_service_and_instance_are_made_and_a_second_run_changes_nothing",
    },
    "devices_info": dict.fromkeys(
        ("check_mode full", "diff_mode N/A", "idempotent full"),
        "integration/test_devices_info.py::test_same_is_said_again_and_in_check_mode_and_nothing_is_changed",
    ),
    "early_signs": IN_A_REGISTRY,
    "enroll_script": dict.fromkeys(
        ("check_mode full", "diff_mode none", "idempotent full"),
        CLAIMS_OF_OURS + "test_script_and_settings_are_written_once_and_never_in_check_mode",
    ),
    "enrollment": {
        "check_mode full": "integration/self_service/test_enrollment.py::"
        "test_check_mode_says_what_would_be_done_and_changes_nothing",
        "diff_mode full": "integration/self_service/test_enrollment.py::"
        "test_diff_names_what_is_done_and_the_addresses_and_no_key",
        "idempotent full": "integration/self_service/test_enrollment.py::"
        "test_device_is_registered_once_and_a_second_run_changes_nothing",
    },
    "gateway_keys": IN_A_REGISTRY,
    "handout": {
        "check_mode full": "integration/test_handout.py::test_check_mode_registers_and_writes_nothing",
        "diff_mode full": CLAIMS_OF_OURS
        + "test_diff_of_a_handout_is_the_record_with_the_fingerprint_instead_of_the_key",
        "idempotent partial": "integration/test_handout.py::"
        "test_registered_device_is_refused_until_its_replacement_is_asked_for",
    },
    "host_key": {
        "check_mode full": "integration/test_login.py::test_host_key_is_published_once",
        "diff_mode full": CLAIMS_OF_OURS + "test_diff_of_a_host_key_is_the_key",
        "idempotent full": "integration/test_login.py::test_host_key_is_published_once",
    },
    "iam_trails_info": READING,
    "iam_users_info": READING,
    "instance_connect_key": {
        "check_mode full": "integration/test_login.py::test_key_is_made_in_check_mode_too",
        "diff_mode N/A": "integration/test_login.py::test_key_is_made_in_check_mode_too",
        "idempotent N/A": "integration/test_login.py::test_each_run_has_a_private_key_of_its_own_that_ssh_can_read",
    },
    "name_diagnosis_info": READING,
    "name_probe": {
        "check_mode full": "integration/test_name_probe.py::test_the_same_is_said_again_and_in_check_mode",
        "diff_mode N/A": "integration/test_name_probe.py::test_the_same_is_said_again_and_in_check_mode",
        "idempotent full": "integration/test_name_probe.py::test_the_same_is_said_again_and_in_check_mode",
    },
    "receipts": {
        "check_mode full": "integration/test_receipts.py::test_check_mode_records_nothing",
        "diff_mode none": NO_DIFF,
        "idempotent full": "integration/test_receipts.py::test_recording_again_changes_nothing",
    },
    "receipts_info": READING,
    "registration": {
        "check_mode full": "integration/test_registration.py::test_check_mode_changes_nothing",
        "diff_mode full": CLAIMS_OF_OURS
        + "test_diff_of_a_registration_is_the_record_with_the_fingerprint_instead_of_the_key",
        "idempotent partial": CLAIMS_OF_OURS + "test_renewal_changes_the_expiry_each_time",
    },
    "registrations_info": READING,
    "registry_cleanup": {
        "check_mode full": "integration/test_registry_cleanup.py::test_check_mode_lists_and_changes_nothing",
        "diff_mode full": CLAIMS_OF_OURS + "test_diff_of_a_cleanup_names_who_goes",
        "idempotent full": "integration/test_registry_cleanup.py::"
        "test_leavers_and_long_expired_devices_go_and_others_stay",
    },
    "registry_export": {
        "check_mode full": "integration/test_registry_file.py::test_check_mode_of_export_and_import_writes_nothing",
        "diff_mode none": NO_DIFF,
        "idempotent full": "integration/test_registry_file.py::"
        "test_export_has_every_kind_is_private_and_the_same_file_the_second_time",
    },
    "registry_identity": IN_A_REGISTRY,
    "registry_import": {
        "check_mode full": "integration/test_registry_file.py::test_check_mode_of_export_and_import_writes_nothing",
        "diff_mode none": CLAIMS_OF_OURS + "test_import_returns_no_diff",
        "idempotent full": "integration/test_registry_file.py::test_import_again_changes_nothing",
    },
    "reproducible_archive": {
        "check_mode full": CLAIMS_OF_OURS + "test_archive_is_packed_once_and_never_in_check_mode",
        "diff_mode none": NO_DIFF,
        "idempotent full": CLAIMS_OF_OURS + "test_archive_is_packed_once_and_never_in_check_mode",
    },
    "revocation": {
        "check_mode full": CLAIMS_OF_OURS + "test_revocation_in_check_mode_says_whom_and_changes_nothing",
        "diff_mode full": CLAIMS_OF_OURS + "test_block_changes_something_once_and_its_lifting_too",
        "idempotent full": CLAIMS_OF_OURS + "test_revocation_of_a_deleted_user_changes_something_once",
    },
    "roster": {
        "check_mode full": "integration/test_roster.py::test_check_mode_decides_and_touches_no_registry",
        "diff_mode none": NO_DIFF,
        "idempotent partial": CLAIMS_OF_OURS + "test_roster_is_no_longer_changed_once_a_run_decided_the_same",
    },
    "self_service_settings": dict.fromkeys(
        ("check_mode full", "diff_mode full", "idempotent full"),
        "integration/test_registry_claims.py::test_module_does_what_its_attributes_claim",
    ),
    "service_names": {
        "check_mode full": "integration/test_cloud_map.py::test_names_follow_ec2_and_a_second_run_changes_nothing",
        "diff_mode full": "integration/test_cloud_map.py::test_names_follow_ec2_and_a_second_run_changes_nothing",
        "idempotent full": "integration/test_cloud_map.py::test_names_follow_ec2_and_a_second_run_changes_nothing",
    },
    "service_names_info": READING,
    "wireguard_interface": {
        "check_mode full": "integration/wireguard/test_modules.py::test_module_in_check_mode_changes_nothing",
        "diff_mode full": "integration/wireguard/test_modules.py::test_diff_names_devices_and_a_second_run_has_none",
        "idempotent full": "integration/wireguard/test_modules.py::test_diff_names_devices_and_a_second_run_has_none",
    },
    "wireguard_interface_info": {
        "check_mode full": "integration/wireguard/test_modules.py::test_info_says_the_same_again_and_in_check_mode",
        "diff_mode N/A": "integration/wireguard/test_modules.py::test_info_says_the_same_again_and_in_check_mode",
        "idempotent full": "integration/wireguard/test_modules.py::test_info_says_the_same_again_and_in_check_mode",
    },
}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_module_has_less_than_160_lines_of_its_own(path: Path) -> None:
    """From the imports on. More belongs into module_utils, where unit tests reach it."""
    text = path.read_text()
    documentation = [node for node in ast.parse(text).body if _assigned(node) in DOCUMENTATION]
    code_begins = max(node.end_lineno or node.lineno for node in documentation)
    assert len(text.splitlines()) - code_begins < MOST_LINES


def _assigned(node: ast.stmt) -> str | None:
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    return None


@pytest.mark.parametrize("name", [path.stem for path in MODULES])
def test_each_claim_of_a_module_has_a_test(name: str) -> None:
    assert {f"{attribute} {support}" for attribute, support in claims(name).items()} == set(CLAIMS[name])


def _tests(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("shown_by", sorted({test for tests in CLAIMS.values() for test in tests.values()}))
def test_test_of_a_claim_exists(shown_by: str) -> None:
    file, _colons, test = shown_by.partition("::")
    assert test in _tests(ROOT / "tests" / file)
