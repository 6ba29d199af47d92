# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""2,000 steps of the state machine, always the same ones; `python -m tests.model` runs others, and for longer."""

from __future__ import annotations

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from .machine import Machine

STEPS, EXAMPLES = 50, 40


def test_everything_that_is_decided_and_applied_is_what_the_rules_say() -> None:
    run_state_machine_as_test(
        Machine,
        settings=settings(
            derandomize=True, deadline=None, max_examples=EXAMPLES, stateful_step_count=STEPS, database=None
        ),
    )
