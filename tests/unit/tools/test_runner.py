# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Gates run at the same time, but for those that wait for others."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import gates
import matrix
import pytest
from runner import Gate, GateFailed, Session, run

from tests.support import ROOT
from tests.support.waiting import wait_for


def test_gate_waits_for_those_before_it_and_runs_also_where_they_failed_or_are_not_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended: list[str] = []

    def check(name: str, *, fails: bool = False) -> Callable[[Session], None]:
        def gate(session: Session) -> None:
            session(sys.executable, "-c", "import time; time.sleep(0.2)")
            ended.append(name)
            if fails:
                raise GateFailed("on purpose")

        return gate

    failed = run(
        [
            Gate("lab", check("lab", fails=True)),
            Gate("second in the lab", check("second in the lab"), after=("lab",)),
            Gate("alone", check("alone"), after=("not chosen",)),
        ],
        tmp_path,
    )
    assert failed == 1
    assert set(ended) == {"lab", "second in the lab", "alone"}
    assert ended.index("lab") < ended.index("second in the lab")
    assert "2 passed, 1 failed" in capsys.readouterr().out


ENDLESS = """
import contextlib, sys
from pathlib import Path
from runner import Gate, GateFailed, run
logs, mark = sys.argv[1:]

def check(session):
    for part in ("first", "second"):
        with contextlib.suppress(GateFailed):
            session(sys.executable, "-c", "import time; time.sleep(9999)", mark)
        Path(logs, part).touch()

run([Gate("endless", check)], Path(logs))
"""


def test_what_a_gate_runs_ends_with_the_program_and_nothing_outlives_it(tmp_path: Path) -> None:
    mark = f"of-{tmp_path.name}-{os.getpid()}"

    def runs() -> bool:
        return subprocess.run(["pgrep", "-f", f"sleep.9999. {mark}$"], check=False, capture_output=True).returncode == 0

    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(tmp_path), mark],
        env={**os.environ, "PYTHONPATH": str(ROOT / "tools")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as gates_program:
        try:
            wait_for("the gate's command", runs)
            gates_program.terminate()
            wait_for("its end", (tmp_path / "second").exists)
            assert not runs()
        finally:
            gates_program.kill()
            subprocess.run(["pkill", "-f", f"sleep.9999. {mark}$"], check=False)


def test_gates_wait_for_gates_that_there_are() -> None:
    named = {name for gate in matrix.gates() for name in gate.after}
    assert named
    assert named <= {gate.name for gate in gates.GATES}
