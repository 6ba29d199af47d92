# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""`deploy` and `site` in a new lab, from a controller with the version of ansible-core that is tried."""

from __future__ import annotations

from tests.lab import actions
from tests.support import ROOT

CONVERGE = str(ROOT / "molecule/default/converge.yml")


def test_site_sets_the_gateways_up_and_a_second_run_changes_nothing() -> None:
    assert actions.run_playbook(CONVERGE).changed
    assert actions.run_playbook(CONVERGE).changed == []
