# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What moto's CodeBuild lacks: builds that go on until somebody ends them, and what they say of themselves.

moto runs nothing. Who runs the builds finds them by ListBuildsForProject and BatchGetBuilds, and ends them by
StopBuild. AWS knows how a build's commands went; here who ran them says it, behind a `#` of the id:
`StopBuild(ID#SUCCEEDED)`.
A build has its project's variables, the newest build is listed first, and `concurrentBuildLimit` refuses others.
"""

from __future__ import annotations

from typing import Any

from moto.codebuild.models import CodeBuildBackend
from moto.core.exceptions import JsonRESTError
from moto.core.utils import iso_8601_datetime_with_milliseconds

_start, _stop = CodeBuildBackend.start_build, CodeBuildBackend.stop_build
_STATUSES = ("#SUCCEEDED", "#FAILED")
_list_all, _list = CodeBuildBackend.list_builds, CodeBuildBackend.list_builds_for_project


def _start_build(backend: Any, project_name: str, *others: Any) -> dict[str, Any]:
    limit = backend.codebuild_projects[project_name].project_metadata.get("concurrentBuildLimit")
    own = backend.build_history[project_name]  # the other one keeps those of a project that was deleted
    builds = [build for build in backend.build_metadata_history[project_name] if build["id"] in own]
    if limit is not None and sum(build["buildStatus"] == "IN_PROGRESS" for build in builds) >= limit:
        raise JsonRESTError(
            "AccountLimitExceededException", f"Cannot have more than {limit} builds in queue for the account"
        )
    build = _start(backend, project_name, *others)
    project = backend.codebuild_projects[project_name].project_metadata
    build["environment"]["environmentVariables"] = project["environment"].get("environmentVariables", [])
    return build


def _batch_get_builds(backend: Any, ids: list[str]) -> list[dict[str, Any]]:
    return [build for builds in backend.build_metadata_history.values() for build in builds if build["id"] in ids]


def _stop_build(backend: Any, build_id: str) -> dict[str, Any] | None:
    build_id, _hash, status = build_id.partition("#")
    build = _stop(backend, build_id)
    if build is not None:
        build["endTime"] = iso_8601_datetime_with_milliseconds()
        build["buildStatus"] = status or "STOPPED"
    return build


def _list_builds(backend: Any) -> list[str]:
    """List what StopBuild takes, which moto checks by this."""
    return [f"{build_id}{status}" for build_id in _list_all(backend) for status in ("", *_STATUSES)]


def _list_builds_for_project(backend: Any, project_name: str) -> list[str]:
    return list(reversed(_list(backend, project_name)))


_METHODS = {
    "batch_get_builds": _batch_get_builds,
    "list_builds": _list_builds,
    "list_builds_for_project": _list_builds_for_project,
    "start_build": _start_build,
    "stop_build": _stop_build,
}


def complete() -> None:
    """Put this in place of moto's, in this process."""
    for name, method in _METHODS.items():
        setattr(CodeBuildBackend, name, method)
