# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""2,000 steps of the state machine; `python -m tests.model` runs others, and for longer.

They are the same ones in each run of one state of the code: the choices are always the same, but what a choice means
depends on the machine's actions and on what the steps before it left.
"""

from __future__ import annotations

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.items import UNREADABLE
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from .faults import FAULTS, Fault
from .machine import Machine

STEPS, EXAMPLES = 50, 40
UNTIL_FOUND = 400  # examples; most faults are found in the first ten
# or a run that ends where it must not
DIFFERENCES = (AssertionError, RuntimeError, *UNREADABLE)


def compare(examples: int = EXAMPLES, is_same: bool = True, shrinks: bool = True) -> None:
    """Compare the collection with the model.

    :param is_same: by the same steps in each run of one state of the code.
    :param shrinks: report the fewest steps that show a difference.
    :raises AssertionError: They differ.
    """
    phases = [Phase.generate, *([Phase.shrink] if shrinks else [])]
    run_state_machine_as_test(
        Machine,
        settings=settings(
            derandomize=is_same,
            deadline=None,
            max_examples=examples,
            stateful_step_count=STEPS,
            database=None,
            phases=phases,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_everything_that_is_decided_and_applied_is_what_the_rules_say() -> None:
    compare()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_fault_that_is_put_back_is_found(fault: Fault) -> None:
    with fault(), pytest.raises(DIFFERENCES):
        compare(UNTIL_FOUND, shrinks=False)
