# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The gate for names and prose: what it refuses, and what it leaves alone."""

from __future__ import annotations

import pytest
from vocabulary import complaints

ACTION = "class ActionModule(ActionBase):\n"


def test_a_public_class_name_stands_for_one_thing() -> None:
    texts = {"plugins/a.py": "class Change:\n", "roles/r/files/b.py": "x = 1\nclass Change(NamedTuple):\n"}
    assert list(complaints(texts)) == [
        "roles/r/files/b.py:2: class Change is another thing in plugins/a.py:1: give one of them its own name"
    ]


def test_names_that_ansible_asks_for_and_private_ones_may_stand_twice() -> None:
    texts = dict.fromkeys(("plugins/a.py", "plugins/b.py"), f"{ACTION}class _Reader:\n")
    assert list(complaints({**texts, "tests/c.py": "class Change:\n", "tests/d.py": "class Change:\n"})) == []


@pytest.mark.parametrize(
    "text", ["as before (R3)", "in the order of R11.", "(R3, R5)", "rules R4 and R12 hold", "R14. Who"]
)
def test_a_rule_is_cited_with_its_words(text: str) -> None:
    assert len(list(complaints({"plugins/a.py": text}))) >= 1
    assert list(complaints({"tests/a.py": text})) == []


@pytest.mark.parametrize(
    "text",
    [
        "(R3, partial knowledge)",
        "R13: rules first",
        "R1 (identity)",
        "the rules R1 to R20",
        "in the order of R11,\n    # removals first",
        "R21",
        "AR2",
    ],
)
def test_what_cites_no_rule_or_names_it_is_left_alone(text: str) -> None:
    assert list(complaints({"plugins/a.py": text})) == []


@pytest.mark.parametrize(
    "text",
    [
        "- name: Bring the gateways to the roster",
        "Brings the names in vpn_names in line with EC2",
        "then every gateway is brought to a roster without them",
        "from the begin of the run",
        "Who runs this playbook needs dynamodb:PutItem",
    ],
)
def test_clumsy_english_is_refused_everywhere(text: str) -> None:
    for name in ("docs/a.md", "playbooks/b.yml", "tests/c.py"):
        assert [complaint.partition(": ")[0] for complaint in complaints({name: text})] == [f"{name}:1"]


@pytest.mark.parametrize(
    "text",
    [
        "- name: Bring the tunnel up",
        "brings the tunnel up on a user's own machine, and tells it which names to ask",
        "a start doesn't bring them back to the device",
        "amazon.aws brings no types",
        'run.result("bring firewall", "gateway") == to',
    ],
)
def test_english_that_is_plain_is_left_alone(text: str) -> None:
    assert list(complaints({"docs/a.md": text})) == []
