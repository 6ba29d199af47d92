# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What becomes of early signs of leaving, once the gateways are served."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Callable, NamedTuple

from .aws import AWSCallError
from .iam.signs import Signs, check, suspension
from .registry.table import Registry

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

MOST = 100  # signs to check in a run, at one or two questions to IAM each


class EarlySigns(str, Enum):
    """What to do about users who can't sign in to AWS any more."""

    WARN = "warn"
    SUSPEND = "suspend"


class Settled(NamedTuple):
    """What was found out about signs."""

    names: list[str]  # of the users who can't sign in to AWS any more
    suspended: list[str]
    forgotten: int  # signs that were wrong
    left: int  # signs for the next run
    problems: list[str]


def settle(
    table: Registry,
    iam_of: Callable[[str], IAMClient],
    early_signs: EarlySigns,
    now: float,
    *,
    check_mode: bool,
    by: str | None = None,
) -> Settled:
    """Ask IAM about the signs in the registry, forget those that are refuted, and suspend users if that is wanted.

    Where there are more signs than a run may ask about, those come first that had no turn, the latest of them first,
    then those whose turn was longest ago: a confirmed sign stays for the next run to name.

    :param iam_of: gives the IAM client of an account; raises AWSCallError where the credentials can't be had.
    :param now: seconds since the epoch.
    :param by: the ARN of who settles them, for the blocks that it writes.
    :raises AWSCallError: the registry doesn't answer.
    """
    facts = table.facts()
    signs = sorted(facts.signs, key=lambda sign: (sign.asked_at, -sign.event_time))
    due, left = signs[:MOST], signs[MOST:]
    blocked = {(block.account_id, block.user_id) for block in facts.blocks if block.device is None}
    registered = {registration.owner for registration in facts.registered.registrations} - blocked
    checked: list[Signs] = []
    for account_id in sorted({sign.account_id for sign in due}):
        of_account = [sign for sign in due if sign.account_id == account_id]
        sweep = facts.sweeps.get(account_id)
        if sweep is None:
            continue
        try:
            checked.append(check(iam_of(account_id), sweep, of_account, registered, now))
        except AWSCallError as error:
            checked.append(Signs(error=f"early signs of leaving in account {account_id} could not be checked: {error}"))
    confirmed = [each for signs_of_account in checked for each in signs_of_account.confirmed]
    to_suspend = confirmed if early_signs is EarlySigns.SUSPEND else []
    refuted = [sign for signs_of_account in checked for sign in signs_of_account.refuted]
    if not check_mode:
        for each in to_suspend:
            table.block(suspension(each.sign, by))
        settled = [*refuted, *(each.sign for each in to_suspend)]
        for sign in settled:
            table.forget_sign(sign)
        if left:
            for sign in due:
                table.note_asked(sign)
    return Settled(
        names=sorted(each.user_name for each in confirmed),
        suspended=sorted(each.user_name for each in to_suspend),
        forgotten=len(refuted),
        left=len(left),
        problems=[each.error for each in checked if each.error is not None],
    )
