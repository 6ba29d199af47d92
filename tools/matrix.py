# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Runs tests on every version of ansible-core that the collection supports, and on the lowest versions it declares.

`make matrix`. The dependency groups of pyproject.toml say which versions these are. Which suite ran where, with the
counts, is printed and written to .cache/matrix/table.md. `make test` runs the unit tests of each version already;
they are run here only where no report is as new as the sources.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from xml.etree import ElementTree as ET

from runner import ROOT, Gate, GateFailed, Session, run

CACHE = ROOT / ".cache/matrix"
LOCKS = ROOT / "tools/locks"
# what the collection and the tests use of Ansible's package
COLLECTIONS = tuple(f"ansible_collections/{name}/" for name in ("amazon/aws", "ansible/posix", "community/aws"))
# Ansible runs all of this, by modules, playbooks and the inventory: all but the gateways' side and the functions, which
# import nothing of Ansible.
MODULES = [f"tests/integration/{name}" for name in (
    "test_accounts.py", "test_client_config.py", "test_cloud_map.py", "test_handout.py", "test_inventory_gateway.py",
    "test_login.py", "test_moving_services.py", "test_name_diagnosis.py", "test_name_probe.py", "test_receipts.py",
    "test_registration.py", "test_registry_cleanup.py", "test_registry_file.py", "test_roster.py",
    "test_roster_events.py", "test_service_names.py", "wireguard/test_modules.py",
)]  # fmt: skip
# On the versions between the lowest and the newest: every claim of every module, the inventory, and playbooks.
CHOICE = [f"tests/integration/{name}" for name in (
    "test_module_claims.py", "test_registry_claims.py", "test_inventory_gateway.py", "test_roster_events.py",
)]  # fmt: skip
DEPLOYMENT = [f"tests/integration/control_plane/{name}" for name in (
    "test_deploy.py::test_one_account_then_another_one_and_then_nothing_to_do",
    "test_deploy.py::test_preview_of_the_first_deployment_makes_nothing_and_checks_the_settings",
    "test_trails.py",
)]  # fmt: skip
# `site`, `reconcile` and `revoke` against the lab's hosts
HOSTS = ["tests/matrix", "molecule/default/tests", "molecule/reconcile/tests"]
HOSTS_CHOICE = (
    "test_site or test_gateway or test_preflight or leaver or iam_failing or revoke or receipt or check_mode "
    "or second_reconcile or no_gateway"
)
# On the other versions: `site`, and one run of `reconcile` and of `revoke`
HOSTS_FEW = "test_site or test_r4_leaver or test_revoke_cuts or revoke_in_check_mode or revoke_reaches_the_gateways"
_making = threading.Lock()  # two gates may want the same environment
SUITES = ("unit", "modules", "deployment", "hosts")


@dataclass(frozen=True)
class Environment:
    """Where tests run: the versions of its locks, under the first of the Pythons that this machine has."""

    name: str
    locks: tuple[str, ...]
    collections: str
    pythons: tuple[str, ...]

    @property
    def directory(self) -> Path:
        """Where it is."""
        return CACHE / self.name

    def report(self, suite: str) -> Path:
        """The report of a suite's last run in it."""
        return CACHE / "reports" / f"{self.name}-{suite}.xml"


def cores() -> list[str]:
    """The supported versions of ansible-core, such as 2.19, the oldest first."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    found = [name.removeprefix("core-").replace("-", ".") for name in groups if name.startswith("core-")]
    return sorted(found, key=lambda version: [int(part) for part in version.split(".")])


def environments() -> list[Environment]:
    """All of them: the declared floor, then each version of ansible-core."""
    of_cores = [
        Environment(f"core-{core}", ("tests", f"core-{core.replace('.', '-')}"), "collections", ("3.13", "3.12"))
        for core in cores()
    ]
    return [Environment("floor", ("floor",), "collections-floor", ("3.11", "3.12")), *of_cores]


def check_range(root: Path) -> list[str]:
    """Complaints about files that say other versions than the dependency groups, each as `file:line: what`."""
    oldest, newest = cores()[0], cores()[-1]
    floor = (root / "tools/locks/floor.txt").read_text(encoding="utf-8").casefold()
    required = (root / "requirements.txt").read_text(encoding="utf-8").casefold()
    floors = re.findall(r"^(\w+)>=([\d.]+)", required, re.MULTILINE)
    complaints = [
        f"requirements.txt:1: {name} {version} isn't what tools/locks/floor.txt has"
        for name, version in floors
        if f"\n{name}=={version} " not in floor
    ]
    lowest = re.findall(r"^ansible-core==(\S+)", floor, re.MULTILINE)[0]
    claims = {
        "meta/runtime.yml": f'requires_ansible: ">={lowest}"',
        "README.md": f"ansible-core {lowest} to {newest}",
        **{f"roles/{role.parents[1].name}/meta/main.yml": f'min_ansible_version: "{oldest}"'
           for role in root.glob("roles/*/meta/main.yml")},
        "tools/locks/floor.txt": f"\nansible-core=={oldest}.",
    }  # fmt: skip
    for name, claim in claims.items():
        if claim not in (root / name).read_text(encoding="utf-8"):
            complaints.append(f"{name}:1: doesn't say {claim.strip()!r}, as pyproject.toml's groups do")
    return complaints


def find_python(versions: Iterable[str]) -> str | None:
    """The first Python of these versions that runs, on PATH or among pyenv's; None without any."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for name in (f"python{version}" for version in versions):
        for candidate in [shutil.which(name), *sorted(map(str, pyenv.glob(f"*/bin/{name}")))]:
            if candidate and subprocess.run([candidate, "-c", ""], check=False, capture_output=True).returncode == 0:
                return candidate
    return None


def make(session: Session, environment: Environment) -> bool:
    """Make an environment, or leave it as it is where its locks haven't changed.

    Returns False, after saying so, where this machine has no Python for it; in CI that is a GateFailed.
    """
    python = find_python(environment.pythons)
    if python is None:
        missing = f"{environment.name} can't run: no Python {' or '.join(environment.pythons)} on this machine"
        if os.environ.get("CI"):
            raise GateFailed(missing)
        print(f"NOT RUN {missing}", flush=True)
        session.say(missing)
        return False
    with _making:
        locks = [LOCKS / f"{lock}.txt" for lock in environment.locks]
        session(ROOT / "tools/venv", environment.directory, *locks, env={"PYTHON": python})
        packages = next(environment.directory.glob("lib/python3*/site-packages"))
        wheel = _wheel(session, environment.collections)
        if not (packages / COLLECTIONS[0]).is_dir():
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(packages, [name for name in archive.namelist() if name.startswith(COLLECTIONS)])
    return True


def _wheel(session: Session, lock: str) -> Path:
    """Ansible's package, which carries amazon.aws, in the version of a lock."""
    pin = re.search(r"^ansible==(\S+)", (LOCKS / f"{lock}.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert pin is not None, lock
    wheels = CACHE / "wheels"
    wheel = wheels / f"ansible-{pin[1]}-py3-none-any.whl"
    if not wheel.exists():
        session(
            sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input",
            "--no-deps", "--require-hashes", "--only-binary=:all:", "--python-version", "3.12", "--dest", wheels,
            "--requirement", LOCKS / f"{lock}.txt",
        )  # fmt: skip
    return wheel


def pytest(session: Session, environment: Environment, suite: str, *arguments: str) -> None:
    """Run tests in an environment; no test may be skipped."""
    directory, report = environment.directory, environment.report(suite)
    report.unlink(missing_ok=True)
    own = [entry for entry in os.environ["PATH"].split(":") if entry != str(ROOT / ".venv/bin")]
    env = {"PATH": ":".join([str(directory / "bin"), *own]), "ANSIBLE_HOME": str(directory / "home")}
    options = ["-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    session(directory / "bin/python", "-m", "pytest", *options, *arguments, env=env)
    if _counts(report)[1]:
        raise GateFailed(f"{environment.name}: tests were skipped")


def units(session: Session) -> None:
    """Unit tests on each version of ansible-core, and on the lowest versions that are declared."""
    for environment in environments():
        if make(session, environment):
            pytest(session, environment, "unit", "tests/unit")


def emulated(session: Session, environment: Environment) -> None:
    """What runs without hosts: unit tests unless they did, and modules and playbooks against an emulated AWS."""
    if not make(session, environment):
        return
    if not _is_fresh(environment.report("unit")):
        pytest(session, environment, "unit", "tests/unit")
    newest = f"core-{cores()[-1]}"
    pytest(session, environment, "modules", *(MODULES if environment.name in ("floor", newest) else CHOICE))
    if environment.name == newest:
        pytest(session, environment, "deployment", *DEPLOYMENT)


def hosts(session: Session) -> None:
    """`site`, `reconcile` and `revoke` against the lab's hosts, from each version in turn, the newest first."""
    for environment in reversed(environments()):
        if not make(session, environment):
            continue
        session("make", "lab-up")
        try:
            is_newest = environment.name == f"core-{cores()[-1]}"
            pytest(session, environment, "hosts", *HOSTS, "-k", HOSTS_CHOICE if is_newest else HOSTS_FEW)
        finally:
            session("make", "lab-down")


def _is_fresh(report: Path) -> bool:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    changed = max((ROOT / name).stat().st_mtime for name in names if name and (ROOT / name).is_file())
    return report.exists() and report.stat().st_mtime > changed


def _counts(report: Path) -> tuple[int, int, int]:
    """How many tests passed, were skipped, and failed."""
    suites = list(ET.parse(report).getroot().iter("testsuite"))
    tests, skipped, failures, errors = (
        sum(int(suite.get(name, "0")) for suite in suites) for name in ("tests", "skipped", "failures", "errors")
    )
    return tests - skipped - failures - errors, skipped, failures + errors


def table() -> str:
    """Which suite ran on which versions, with the counts, in Markdown."""
    headings = ("environment", "Python", "amazon.aws", "boto3", *SUITES)
    lines = [f"| {' | '.join(headings)} |", "|---" * len(headings) + "|"]
    for environment in environments():
        cells = [_cell(environment.report(suite)) for suite in SUITES]
        lines.append("| " + " | ".join([_name(environment), *_versions(environment), *cells]) + " |")
    return "\n".join(lines) + "\n"


def _cell(report: Path) -> str:
    if not report.exists():
        return "not run"
    passed, _skipped, failed = _counts(report)
    return f"{passed} passed" if not failed else f"{passed} passed, {failed} FAILED"


def _name(environment: Environment) -> str:
    text = "".join((LOCKS / f"{lock}.txt").read_text(encoding="utf-8") for lock in environment.locks)
    core = re.search(r"^ansible-core==(\S+)", text, re.MULTILINE)
    return f"{environment.name}: ansible-core {core[1] if core else '?'}"


def _versions(environment: Environment) -> list[str]:
    """Of Python, amazon.aws and boto3; a dash where there is no environment."""
    packages = next(environment.directory.glob("lib/python3*/site-packages"), None)
    if packages is None:
        return ["-", "-", "-"]
    manifest = (packages / COLLECTIONS[0] / "MANIFEST.json").read_text(encoding="utf-8")
    amazon = re.search(r'"version": "([^"]+)"', manifest)
    boto3 = next(packages.glob("boto3-*.dist-info")).name.removeprefix("boto3-").removesuffix(".dist-info")
    return [packages.parent.name.removeprefix("python"), amazon[1] if amazon else "?", boto3]


def gates() -> list[Gate]:
    """One for each version, and one for the lab's hosts, which their probes need on time."""
    return [
        Gate("hosts", hosts, niceness=0, after=("molecule",)),  # a machine has one lab at a time
        *(
            # what needn't run twice was run by then
            Gate(each.name, partial(emulated, environment=each), after=("unit-cores",))
            for each in reversed(environments())
        ),
    ]


def forget() -> None:
    """Remove the reports of an earlier run, but those of unit tests, which may be as new as the sources."""
    for old in (CACHE / "reports").glob("*.xml"):
        if not old.name.endswith("-unit.xml"):
            old.unlink()


def show() -> None:
    """Print the table, and keep it."""
    written = table()
    (CACHE / "table.md").write_text(written, encoding="utf-8")
    print("\n" + written)


def main() -> int:
    """Run all that `make test` didn't; 1 if anything failed or couldn't run."""
    forget()
    failed = run(gates(), ROOT / ".cache/gates")
    show()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
