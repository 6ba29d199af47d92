# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The gates that a change must pass: `gates.py all`, `gates.py fast`, or the names of some; `gates.py list` names them.

`gates.py ci` is `all` and `make matrix` at once, so that no core waits for the lab, which one gate at a time has.

Every gate fails when it finds nothing to check.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from xml.etree import ElementTree as ET

import hygiene
import matrix
import private_names
import vocabulary
from runner import ROOT, Gate, GateFailed, Session, run

CACHE = ROOT / ".cache"
COLLECTION = ROOT / ".ansible/collections/ansible_collections/tracklib/vpn"
SITE_PACKAGES = next((ROOT / ".venv/lib").glob("python3*/site-packages"), ROOT)
# pip's version that ansible-test of ansible-core 2.19 asks for
GET_PIP = "get_pip_24_2.py"
# Warnings of Galaxy's importer that are no fault of the collection.
GALAXY_NOISE: tuple[str, ...] = ()


def sources(*patterns: str, is_delivered: bool = False) -> list[str]:
    """The repository's files that match git's patterns; GateFailed when there are none.

    What is delivered are files that git knows alone: others, such as an operator's own notes, are nobody else's.
    """
    others = [] if is_delivered else ["--others", "--exclude-standard"]
    command = ["git", "ls-files", "-z", "--cached", *others, "--", *patterns]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    found = sorted(name for name in set(names) if name and (ROOT / name).is_file())
    if not found:
        raise GateFailed(f"nothing to check: no file matches {' '.join(patterns) or 'anything'}")
    return found


def stage(name: str, without: tuple[str, ...] = (), is_delivered: bool = False) -> Path:
    """A copy of the sources, but for the directories `without`, where Ansible's tools want a collection to be.

    amazon.aws lies beside it. Returns the copy's path.
    """
    base = CACHE / name / "ansible_collections"
    shutil.rmtree(base, ignore_errors=True)
    target = base / "tracklib/vpn"
    for source in sources(is_delivered=is_delivered):
        if source.startswith(without):
            continue
        (target / source).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / source, target / source)
    # ansible-test asks git for the files; below an ignored directory of this repository it would be told of none
    subprocess.run(["git", "init", "-q", str(target)], check=True)
    # hard links: 'ansible-galaxy collection list' overlooks symlinks
    shutil.copytree(SITE_PACKAGES / "ansible_collections/amazon", base / "amazon", copy_function=os.link)
    return target


def ruff(session: Session) -> None:
    """Python style and likely bugs."""
    sources("*.py")
    session("ruff", "check", "--output-format", "concise", ".")


def formatting(session: Session) -> None:
    """Python formatting."""
    sources("*.py")
    session("ruff", "format", "--check", "--diff", ".")


def mypy(session: Session) -> None:
    """Types: strict for plugins/module_utils, complete signatures everywhere else."""
    others = {name.split("/")[0] for name in sources("*.py")} - {"plugins"}
    # through the link, so that the collection's modules have the names by which they import one another
    session("mypy", COLLECTION.relative_to(ROOT) / "plugins", *sorted(others))


def yamllint(session: Session) -> None:
    """YAML style."""
    sources("*.yml", "*.yaml")
    session("yamllint", "--strict", ".")


def shellcheck(session: Session) -> None:
    """Shell scripts, found by their first line."""
    scripts = [name for name in sources() if _is_shell(ROOT / name)]
    if not scripts:
        raise GateFailed("nothing to check: no shell script")
    session("shellcheck", *scripts)


def _is_shell(path: Path) -> bool:
    with path.open("rb") as stream:
        first = stream.readline(100).split()
    return bool(first) and first[0] in {b"#!/bin/sh", b"#!/bin/bash"}


def hygiene_gate(session: Session) -> None:
    """Things that no linter looks for; see hygiene.py, private_names.py and vocabulary.py."""
    names = sources()
    complaints = [
        *hygiene.check(ROOT, names),
        *private_names.check(ROOT, names),
        *vocabulary.check(ROOT, names),
        *matrix.check_range(ROOT),
    ]
    for complaint in complaints:
        session.say(complaint)
    if complaints:
        raise GateFailed(f"{len(complaints)} complaints")


def ansible_lint(session: Session) -> None:
    """Roles, playbooks and metadata against the production profile."""
    sources("roles/*/tasks/*.yml")
    session("ansible-lint", "--nocolor")


def changelog(session: Session) -> None:
    """Changelog fragments and the changelog itself."""
    sources("changelogs/fragments/*.yml", "CHANGELOG.md")
    session("antsibull-changelog", "lint")
    session("antsibull-changelog", "lint-changelog-yaml", "changelogs/changelog.yaml")


def cfn_lint(session: Session) -> None:
    """CloudFormation templates."""
    buildspec = ":!roles/control_plane/files/buildspec.yml"
    session("cfn-lint", *sources("roles/control_plane/files/*.yml", buildspec, "docs/examples/*.cfn.yml"))


def docs(session: Session) -> None:
    """Documentation of plugins, modules and roles: schema, markup, references."""
    collection = stage("docs")
    session(
        "antsibull-docs",
        "lint-collection-docs",
        "--plugin-docs",
        "--validate-collection-refs=dependent",
        ".",
        cwd=collection,
        # amazon.aws is no part of this repository: asked for it, git would name no file
        env={
            "ANSIBLE_COLLECTIONS_PATH": str(CACHE / "docs"),
            "GIT_CEILING_DIRECTORIES": f"{collection.parents[1]}:{(ROOT / '.venv').resolve()}",
        },
    )


def docsite(session: Session) -> None:
    """The documentation as HTML, in .cache/docsite/html, without a warning of antsibull-docs or Sphinx."""
    stage("docsite")
    rst, html = CACHE / "docsite/rst", CACHE / "docsite/html"
    shutil.rmtree(rst, ignore_errors=True)
    rst.mkdir(mode=0o755)
    session(
        *("antsibull-docs", "collection", "--use-current", "--squash-hierarchy", "--fail-on-error"),
        *("--cleanup", "everything", "--dest-dir", rst, "tracklib.vpn"),
        env={"ANSIBLE_COLLECTIONS_PATH": str(CACHE / "docsite")},
    )
    session("sphinx-build", "-q", "-E", "-W", "--keep-going", "-b", "html", "-c", ROOT / "tools/docsite", rst, html)


def sanity(session: Session) -> None:
    """ansible-test's sanity tests; compile and import with every Python from 3.8 on that this machine has."""
    # what is delivered; ruff, mypy and shellcheck see to the rest
    collection = stage(
        "sanity",
        without=(".config/", ".github/", "molecule/", "tests/", "tools/"),
    )
    home = CACHE / "sanity/home"
    scripts = home / ".ansible/test/cache"
    scripts.mkdir(parents=True, exist_ok=True)
    # instead of the script that ansible-test would download
    (scripts / GET_PIP).write_text("import ensurepip; ensurepip.bootstrap(default_pip=True)\n", encoding="utf-8")
    pythons = _link_pythons(CACHE / "sanity/bin")
    session.say("Python versions: " + ", ".join(pythons))
    path = [str(CACHE / "sanity/bin"), *(entry for entry in os.environ["PATH"].split(":") if "shims" not in entry)]
    env = {"HOME": str(home), "PATH": ":".join(path), "LC_ALL": "C.UTF-8", **_pip_settings()}
    session("ansible-test", "sanity", "--color", "no", cwd=collection, env=env)
    if "All targets skipped" in Path(session.log.name).read_text(encoding="utf-8"):
        raise GateFailed("nothing to check: ansible-test found no files")


def _link_pythons(directory: Path) -> list[str]:
    """Link the interpreters that run, also pyenv's, into a directory: ansible-test takes any pythonX.Y in the PATH."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = []
    for name in (f"python3.{minor}" for minor in range(8, 15)):
        if (ROOT / ".venv/bin" / name).exists():
            found.append(name)
            continue
        for candidate in [shutil.which(name), *sorted(pyenv.glob(f"*/bin/{name}"))]:
            if candidate and subprocess.run([candidate, "-c", ""], check=False, capture_output=True).returncode == 0:
                (directory / name).symlink_to(candidate)
                found.append(name)
                break
    return found


def _pip_settings() -> dict[str, str]:
    """The user's own pip settings, which are out of sight once HOME is another."""
    places = [Path.home() / ".config/pip/pip.conf", Path.home() / ".pip/pip.conf"]
    return next(({"PIP_CONFIG_FILE": str(place)} for place in places if place.exists()), {})


def unit(session: Session) -> None:
    """Unit and property tests, and the model of the rules."""
    _pytest(session, "unit", "tests/unit", "tests/model")


def integration(session: Session) -> None:
    """Modules and plugins against an emulated AWS over HTTP and real WireGuard devices."""
    session(ROOT / "tools/venv", CACHE / "ministack", ROOT / "tools/locks/ministack.txt")
    _pytest(session, "integration", "tests/integration")


def _pytest(session: Session, name: str, *arguments: str) -> None:
    """Run pytest; a test that is skipped, or a run without tests, is a failure."""
    report = CACHE / f"gates/{name}.xml"
    session(sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *arguments)
    suites = ET.parse(report).getroot().iter("testsuite")
    skipped = sum(int(suite.get("skipped", "0")) for suite in suites)
    if skipped:
        raise GateFailed(f"{skipped} tests were skipped")


def molecule(session: Session) -> None:
    """Every molecule scenario, on real hosts that they share, or the one that $SCENARIO names."""
    scenarios = [name.split("/")[1] for name in sources("molecule/*/molecule.yml")]
    wanted = os.environ.get("SCENARIO") or ""
    if wanted and wanted not in scenarios:
        raise GateFailed(f"no scenario {wanted}; there are: {', '.join(scenarios)}")
    # without it molecule shares nothing, and each scenario would look for hosts that nobody made
    if "default" not in scenarios:
        raise GateFailed("molecule/default, which makes the lab for all scenarios, is missing")
    for state in (ROOT / ".ansible/tmp").glob("molecule.*"):  # what a run that was killed believes to be up
        shutil.rmtree(state)
    if wanted:
        session("molecule", "converge", "-s", wanted)
    session("molecule", "test", *(["-s", wanted] if wanted else ["--all"]))


def build(session: Session) -> Path:
    """The collection's tarball, without development files, and the script for users; returns the tarball's path."""
    collection = stage("build", is_delivered=True)
    output = CACHE / "build"
    for old in output.glob("*.tar.gz"):
        old.unlink()
    session("ansible-galaxy", "collection", "build", "--output-path", output, cwd=collection)
    tarball = next(output.glob("tracklib-vpn-*.tar.gz"))
    expected = {
        "CHANGELOG.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "FILES.json", "LICENSE", "MANIFEST.json", "README.md",
        "SECURITY.md", "bindep.txt", "changelogs", "docs", "inventories", "meta", "playbooks", "plugins",
        "requirements.txt", "requirements.yml", "roles",
    }  # fmt: skip
    with tarfile.open(tarball) as archive:
        strangers = {name.split("/")[0] for name in archive.getnames()} - expected
    if strangers:
        raise GateFailed(
            f"development files in the tarball (galaxy.yml's build_ignore): {', '.join(sorted(strangers))}"
        )
    session(sys.executable, "tools/enroll_script.py", env={"PYTHONPATH": str(COLLECTION.parents[2])})
    return tarball


def galaxy(session: Session) -> None:
    """Build the collection, install it from the tarball, and pass it through Galaxy's own import check."""
    tarball = build(session)
    collections = CACHE / "build/installed"
    shutil.rmtree(collections, ignore_errors=True)
    env = {"ANSIBLE_COLLECTIONS_PATH": str(collections)}
    session("ansible-galaxy", "collection", "install", "--no-deps", "-p", collections, tarball, cwd=CACHE, env=env)
    session("ansible-doc", "--type", "module", "--list", "tracklib.vpn", cwd=CACHE, env=env)

    venv = CACHE / "galaxy-venv"
    session(ROOT / "tools/venv", venv, ROOT / "tools/locks/galaxy.txt")
    packages = next(venv.glob("lib/python3*/site-packages")) / "ansible_collections"
    packages.mkdir(exist_ok=True)
    for namespace in ("amazon", "community"):  # what the collection needs, and what its examples use
        if not (packages / namespace).exists():
            (packages / namespace).symlink_to(SITE_PACKAGES / "ansible_collections" / namespace)
    env = {"PATH": f"{venv}/bin:{os.environ['PATH']}", "ANSIBLE_COLLECTIONS_PATH": str(collections)}
    session(venv / "bin/python", "-m", "galaxy_importer.main", tarball, cwd=CACHE / "build", env=env)
    # the importer ends with 0 whatever it found
    lines = Path(session.log.name).read_text(encoding="utf-8").splitlines()
    findings = [line for line in lines if line.startswith(("ERROR", "WARNING")) and not line.endswith(GALAXY_NOISE)]
    if findings:
        raise GateFailed(f"{len(findings)} findings of Galaxy's importer")
    _execution_environment(session, venv / "bin/ansible-builder", collections)


def _execution_environment(session: Session, builder: Path, collections: Path) -> None:
    """Have ansible-builder read the installed collection, and write the build context that such images come from."""
    directory = CACHE / "build/execution-environment"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    python, system = directory / "requirements.txt", directory / "bindep.txt"
    session(builder, "introspect", collections, "--write-pip", python, "--write-bindep", system)
    for written, source in ((python, ROOT / "requirements.txt"), (system, ROOT / "bindep.txt")):
        lines = (line.partition("#")[0].split() for line in source.read_text(encoding="utf-8").splitlines())
        missing = [line[0] for line in lines if line and line[0] not in written.read_text(encoding="utf-8")]
        if missing:
            raise GateFailed(f"ansible-builder doesn't find in the collection: {', '.join(missing)}")
    definition = {
        "version": 3,
        "images": {"base_image": {"name": "docker.io/library/debian:13"}},
        "dependencies": {"galaxy": {"collections": [{"name": "tracklib.vpn"}]}},
    }
    (directory / "execution-environment.yml").write_text(json.dumps(definition), encoding="utf-8")
    session(builder, "create", cwd=directory)


GATES = (
    Gate("molecule", molecule, niceness=0),  # before the others: its probes count packets by the millisecond
    Gate("integration", integration),
    Gate("sanity", sanity),
    Gate("ansible-lint", ansible_lint),
    Gate("unit", unit),
    Gate("unit-cores", matrix.units),
    Gate("mypy", mypy),
    Gate("docs", docs),
    Gate("docsite", docsite),
    Gate("galaxy", galaxy),
    Gate("yamllint", yamllint),
    Gate("cfn-lint", cfn_lint),
    Gate("ruff", ruff),
    Gate("format", formatting),
    Gate("shellcheck", shellcheck),
    Gate("changelog", changelog),
    Gate("hygiene", hygiene_gate),
)
BUILD = Gate("build", build)  # by name only: it is a part of galaxy
SLOW = {"integration", "unit-cores", "sanity", "docs", "docsite", "galaxy", "molecule"}


def main() -> int:
    """Run the gates named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", metavar="NAME", help="all, ci, fast, list, or names of gates")
    names: list[str] = parser.parse_args().names
    known = {gate.name: gate for gate in (*GATES, BUILD)}
    if names == ["list"]:
        for gate in GATES:
            print(f"{gate.name:<14}{(gate.check.__doc__ or '').splitlines()[0]}")
        return 0
    is_ci = names == ["ci"]
    if is_ci:
        molecule_, *others = GATES
        hosts, *versions = matrix.gates()
        chosen = [molecule_, hosts, *others, *versions]
        matrix.forget()
    elif names == ["all"]:
        chosen = list(GATES)
    elif names == ["fast"]:
        chosen = [gate for gate in GATES if gate.name not in SLOW]
    else:
        unknown = [name for name in names if name not in known]
        if unknown:
            parser.error(f"no such gate: {', '.join(unknown)}; there are: {', '.join(known)}")
        chosen = [known[name] for name in names]
    os.environ["PATH"] = f"{ROOT / '.venv/bin'}:{os.environ['PATH']}"
    failed = run(chosen, CACHE / "gates")
    if is_ci:
        matrix.show()
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
