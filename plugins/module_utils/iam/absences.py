# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What IAM says of users whom a complete sweep no longer lists (R4, confirmed revocation).

Absence alone proves nothing: a directory that answers with success and nothing has emptied other people's systems.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Collection, Mapping

from ..aws import AWSCallError
from ..model import Sweep
from ..whitelist import Absences
from .sweep import find_user

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

_MOST_QUESTIONS = 100  # a run; GetUser throttles
_MOST_FAILURES = 3  # each may have taken all its retries


def ask(iam: IAMClient, sweep: Sweep, expected: Mapping[str, str], registered: Collection[str]) -> Absences:
    """Ask IAM for each user whom a complete sweep should list and doesn't.

    :param expected: the name that each user_id of a peer had last.
    :param registered: user_ids of those who have devices, peers or not.
    :raises AWSCallError: IAM has a user whom the sweep left out, so that it wasn't complete.
    """
    absent = {user_id: name for user_id, name in expected.items() if user_id not in sweep.users}
    known = {*expected, *registered}
    if absent and len(known) >= 2 and known.isdisjoint(sweep.users):
        sentence = (
            f"the sweep of account {sweep.account_id} lists {len(sweep.users)} users, and none of the {len(known)} "
            "who have devices: their removal is held, whatever IAM says of each"
        )
        return Absences(held=frozenset(absent), problems=(sentence,))
    asked = dict(list(absent.items())[:_MOST_QUESTIONS])
    confirmed: set[str] = set()
    failures: list[str] = []
    for user_id, name in asked.items():
        if len(failures) == _MOST_FAILURES:
            break
        try:
            user = find_user(iam, sweep.account_id, name)
        except AWSCallError as error:
            failures.append(str(error))
            continue
        if user is not None and user.user_id == user_id:
            raise AWSCallError(
                f"IAM has {name} ({user_id}), whom the sweep of account {sweep.account_id} left out; run it again"
            )
        confirmed.add(user_id)
    problems = []
    if failures:
        left = len(asked) - len(confirmed)
        problems.append(
            f"{left} users of account {sweep.account_id} are absent from a complete sweep, and IAM didn't say whether "
            f"they are deleted: {failures[0]}"
        )
    held = frozenset(absent) - frozenset(asked)
    if held:
        problems.append(
            f"{len(absent)} users of account {sweep.account_id} are absent at once; {_MOST_QUESTIONS} are asked for in "
            f"a run, the removal of the other {len(held)} is held until the next ones"
        )
    return Absences(frozenset(confirmed), held, tuple(problems))
