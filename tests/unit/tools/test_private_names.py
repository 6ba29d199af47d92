# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The gate that finds private names of libraries."""

from __future__ import annotations

from pathlib import Path

import pytest
from private_names import check

OURS = "_own = 1\n\n\nclass Base:\n    def _method(self):\n        self._value = 1\n"


def complaints(directory: Path, text: str, name: str = "plugins/modules/x.py") -> list[str]:
    """What the gate says of a file beside one of ours."""
    files = {"plugins/module_utils/ours.py": OURS, name: text}
    for each, content in files.items():
        (directory / each).parent.mkdir(parents=True, exist_ok=True)
        (directory / each).write_text(content)
    return check(directory, files)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from ansible.module_utils._text import to_text", "imported: ansible.module_utils._text to_text"),
        ("import ansible._internal.ssh", "imported: ansible._internal.ssh"),
        ("from json import _default_decoder", "imported: json _default_decoder"),
        ("from ansible.module_utils import basic\nbasic._ANSIBLE_ARGS = b''", "isn't ours: _ANSIBLE_ARGS"),
        ("import json\nprint(json.decoder._private)", "isn't ours: _private"),
        ("import basic\nprint(hasattr(basic, '_PROFILE'))", "isn't ours: _PROFILE"),
        ("class A:\n    def run(self):\n        return self._connection._shell", "isn't ours: _shell"),
        (
            "from json import JSONEncoder\nclass A(JSONEncoder):\n    def run(self):\n        self._go()",
            "ours: _go",
        ),
        ("from logging import Formatter\nclass A(Formatter):\n    def run(self):\n        super()._go()", "ours: _go"),
        ("from string import Formatter\nclass A(Formatter):\n    def _vformat(self):\n        pass", "overrides"),
    ],
)
def test_private_name_of_a_library_is_found(tmp_path: Path, text: str, expected: str) -> None:
    found = complaints(tmp_path, text)
    assert expected in found[0]
    assert found[0].startswith("plugins/modules/x.py:")


@pytest.mark.parametrize(
    "text",
    [
        "_mine = 1\nprint(x._mine)",
        "from ansible_collections.tracklib.vpn.plugins.module_utils import ours\nprint(ours._own)",
        "from ..module_utils.ours import Base\nclass A(Base):\n    def run(self):\n        self._method()",
        "PATH = 'plugins/module_utils/ours.py'\nprint(load(PATH)._own)",
        "print(record._replace(a=1), record._asdict(), record.__dict__)",
        "for _name, value in x:\n    print(value)",
    ],
)
def test_own_private_name_is_none_of_its_business(tmp_path: Path, text: str) -> None:
    assert complaints(tmp_path, text) == []


def test_what_ansible_offers_to_action_plugins_is_offered_to_them_alone(tmp_path: Path) -> None:
    text = "class ActionModule(Base):\n    def run(self):\n        self._execute_module()"
    assert complaints(tmp_path, text, "plugins/action/x.py") == []
    assert len(complaints(tmp_path, text, "plugins/modules/x.py")) == 1
