# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What moto's CodeBuild lacks: a build that goes on until somebody ends it by StopBuild, and `concurrentBuildLimit`.

moto runs nothing. Who runs the builds finds them by ListBuildsForProject and BatchGetBuilds.
"""

from __future__ import annotations

from typing import Any

from moto.codebuild.models import CodeBuildBackend
from moto.core.exceptions import JsonRESTError

_start = CodeBuildBackend.start_build


def _start_build(backend: Any, project_name: str, *others: Any) -> dict[str, Any]:
    limit = backend.codebuild_projects[project_name].project_metadata.get("concurrentBuildLimit")
    own = backend.build_history[project_name]  # the other one keeps those of a project that was deleted
    builds = [build for build in backend.build_metadata_history[project_name] if build["id"] in own]
    if limit is not None and sum(build["buildStatus"] == "IN_PROGRESS" for build in builds) >= limit:
        raise JsonRESTError(
            "AccountLimitExceededException", f"Cannot have more than {limit} builds in queue for the account"
        )
    return _start(backend, project_name, *others)


def _batch_get_builds(backend: Any, ids: list[str]) -> list[dict[str, Any]]:
    return [build for builds in backend.build_metadata_history.values() for build in builds if build["id"] in ids]


def complete() -> None:
    """Put this in place of moto's, in this process."""
    # mypy wants no method replaced, which is what completing the emulator is
    CodeBuildBackend.start_build = _start_build  # type: ignore[assignment, method-assign]
    # the same
    CodeBuildBackend.batch_get_builds = _batch_get_builds  # type: ignore[assignment, method-assign]
