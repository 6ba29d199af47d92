# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A project's builds: starting one, which is told nothing (R15, data is never code), and how the last ones went."""

from __future__ import annotations

from typing import Any

from ansible_collections.tracklib.vpn.plugins.module_utils.aws import AWSCallError, calling
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from .due import Builds

# A build runs, or the account's builds are too many. The build that starts in the end reads facts later than these.
_REFUSED = ("AccountLimitExceededException", "ThrottlingException", "Throttling")
_LOOKED_AT = 20  # builds; more that failed in a row are the same as none that succeeded


def start_build(codebuild: Any, project: str, logger: Logger, metrics: Metrics) -> bool:
    """Start a build; return whether one started. What CodeBuild says goes to the log and the metrics.

    :param codebuild: botocore's client.
    """
    try:
        with calling("codebuild:StartBuild", f"project {project}"):
            build = codebuild.start_build(projectName=project)["build"]
    except AWSCallError as error:
        if error.code in _REFUSED:
            logger.info("no build", project=project, why=str(error))
            metrics.add_metric("StartRefused", MetricUnit.Count, 1)
        else:
            logger.error("no build", project=project, why=str(error))
            metrics.add_metric("Failed", MetricUnit.Count, 1)
        return False
    logger.info("build", project=project, build_id=build["id"])
    metrics.add_metric("Started", MetricUnit.Count, 1)
    return True


def last_builds(codebuild: Any, project: str) -> Builds:
    """Ask CodeBuild how a project's last builds went.

    :param codebuild: botocore's client.
    :raises AWSCallError: it doesn't say.
    """
    with calling("codebuild:ListBuildsForProject", f"project {project}"):
        ids = codebuild.list_builds_for_project(projectName=project, sortOrder="DESCENDING")["ids"][:_LOOKED_AT]
    if not ids:
        return Builds()
    with calling("codebuild:BatchGetBuilds", f"project {project}"):
        builds = codebuild.batch_get_builds(ids=ids)["builds"]
    builds.sort(key=lambda build: build["startTime"], reverse=True)
    ended = [build for build in builds if build["buildStatus"] != "IN_PROGRESS"]
    has_failed = bool(ended) and ended[0]["buildStatus"] != "SUCCEEDED"
    succeeded = next((build for build in ended if build["buildStatus"] == "SUCCEEDED"), None)
    if succeeded is None:
        return Builds(len(ended) < len(builds), has_failed)
    began = succeeded["startTime"].timestamp()
    return Builds(len(ended) < len(builds), has_failed, began, succeeded["id"], _code(succeeded))


def _code(build: Any) -> str:
    """Return the hashes of what a build ran, as the stack gives them to the sweeper."""
    values = {each["name"]: each["value"] for each in build["environment"].get("environmentVariables", ())}
    return " ".join(values[name] for name in ("BUNDLE_SHA256", "INVENTORY_SHA256") if name in values)
