"""What a release must keep: its changelog, its version, its data files, its licences, its dependency on llama.cpp."""

from __future__ import annotations

import hashlib
import importlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from datetime import date
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from packaging.requirements import Requirement

import fclocal
from fclocal.native import binding

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
TODAY = date(2027, 1, 31)


def script(name: str) -> ModuleType:
    """A module of packaging/release."""
    return importlib.import_module(name)


source, changelog, licences = map(script, ("source", "changelog", "licences"))
audit, distributions, sbom = map(script, ("audit", "distributions", "sbom"))


def refusal(version: str, *headings: str, tags: tuple[str, ...] = ()) -> str:
    """What the changelog rule says about these entries; empty when they are right."""
    text = "# Changes\n\n" + "".join(f"## {heading}\n\n- Something.\n\n" for heading in headings)
    try:
        changelog.check(text, version, today=TODAY, tags=tags)
    except source.Refused as error:
        return str(error)
    return ""


def test_the_version_is_in_one_place() -> None:
    assert source.version() == fclocal.__version__
    assert "version" in PROJECT["project"]["dynamic"] and "version" not in PROJECT["project"]
    assert changelog.check_here() == f"version {fclocal.__version__}"


@pytest.mark.parametrize(
    ("version", "headings", "said"),
    [
        ("1.0.0", ("1.0.0 - 2027-01-31", "0.9.0 - 2026-01-01"), ""),
        ("1.1.0.dev0", ("Unreleased", "1.0.0 - 2027-01-31"), ""),
        ("1.0.0", (), 'begin with "## 1.0.0 - 2027-01-31"'),
        ("1.0.0", ("Unreleased", "0.9.0 - 2026-01-01"), "is no"),
        ("1.0.0", ("1.0.1 - 2027-01-31",), "begin with"),
        ("1.0.0", ("1.0.0",), "is no"),
        ("1.0.0", ("1.0.0 - 2027-02-30",), "is no"),
        ("1.0.0", ("1.0.0 - 2027-02-01",), "do not go back"),
        ("1.0.0", ("1.0.0 - 2026-01-01", "0.9.0 - 2026-01-02"), "do not go back"),
        ("1.1.0.dev0", ("1.1.0.dev0 - 2027-01-31",), 'begin with "## Unreleased"'),
    ],
)
def test_the_changelog_rule(version: str, headings: tuple[str, ...], said: str) -> None:
    found = refusal(version, *headings)
    assert said in found and bool(said) == bool(found)


def test_a_tag_is_the_version() -> None:
    assert refusal("1.0.0", "1.0.0 - 2027-01-31", tags=("v1.0.0", "nightly")) == ""
    assert "v1.0.1" in refusal("1.0.0", "1.0.0 - 2027-01-31", tags=("v1.0.1",))
    assert "development" in refusal("1.1.0.dev0", "Unreleased", tags=("v1.1.0",))


@pytest.mark.parametrize(
    ("metadata", "expected", "compatible"),
    [
        (("MIT", None, []), "MIT", True),
        (("Apache-2.0 OR GPL-3.0-only", None, []), "Apache-2.0 OR GPL-3.0-only", True),
        (("MIT AND GPL-3.0-only", None, []), "MIT AND GPL-3.0-only", False),
        (("MIT AND (GPL-3.0-only OR ISC)", None, []), "MIT AND (GPL-3.0-only OR ISC)", True),
        (("GPL-3.0-only OR ISC AND AGPL-3.0-only", None, []), "GPL-3.0-only OR ISC AND AGPL-3.0-only", False),
        (("Apache-2.0 WITH LLVM-exception", None, []), "Apache-2.0 WITH LLVM-exception", True),
        ((None, "Apache License 2.0", ["License :: OSI Approved :: BSD License"]), "Apache-2.0", True),
        ((None, "long\n" * 99, ["License :: OSI Approved :: MIT License"]), "MIT", True),
        ((None, None, ["License :: OSI Approved :: BSD License", "Typing :: Typed"]), "BSD", True),
        ((None, None, ["License :: OSI Approved :: GNU Affero General Public License v3"]), None, False),
        ((None, "Proprietary", []), "Proprietary", False),
        ((None, None, []), "unknown", False),
        (("(MIT", None, []), "(MIT", False),
    ],
)
def test_licences(metadata: tuple[str | None, str | None, list[str]], expected: str | None, compatible: bool) -> None:
    stated = licences.licence(*metadata)
    assert expected is None or stated == expected
    one = licences.Dependency("x", "1", stated)
    assert one.compatible is compatible
    if not compatible:
        with pytest.raises(source.Refused, match="x 1"):
            licences.refuse([one])


def test_the_licences_of_this_environment_are_read() -> None:
    found = {one.name.lower(): one for one in licences.read(Path(sys.executable))}
    assert "fclocal" not in found and found["pydantic"].licence == "MIT"


def test_an_audit_that_got_no_answer_says_so() -> None:
    well: dict[str, object] = {"name": "a", "version": "1", "vulns": []}
    bad: dict[str, object] = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1"}]}
    skipped: dict[str, object] = {"name": "c", "skip_reason": "not found"}
    assert audit.judge([skipped]).startswith("Could not audit")
    assert audit.judge([well]) == "No known vulnerability in 1 of 1 dependencies."
    assert "did not answer for c" in audit.judge([well, skipped])
    with pytest.raises(source.Refused, match=r"b 2 \(PYSEC-1\)"):
        audit.judge([well, bad, skipped])


def test_the_sbom_names_the_version_and_not_the_installer() -> None:
    bom = {
        "metadata": {"component": {"name": "fclocal"}},
        "components": [{"bom-ref": "a", "name": "numpy"}, {"bom-ref": "b", "name": "pip"}],
        "dependencies": [{"ref": "a"}, {"ref": "b"}],
    }
    done = sbom.completed(bom, "1.2.3")
    assert done["metadata"] == {"component": {"name": "fclocal", "version": "1.2.3", "purl": "pkg:pypi/fclocal@1.2.3"}}
    assert done["components"] == [{"bom-ref": "a", "name": "numpy"}] and done["dependencies"] == [{"ref": "a"}]


def test_the_readme_has_links_that_work_elsewhere() -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", (ROOT / "README.md").read_text("utf-8"))
    relative = [link for link in links if "://" not in link and not link.startswith("#")]
    assert relative and all((ROOT / link.partition("#")[0]).exists() for link in relative)


def test_a_prebuilt_llama_cpp_python_of_any_backend_is_kept() -> None:
    (wanted,) = (one for one in map(Requirement, PROJECT["project"]["dependencies"]) if one.name == "llama-cpp-python")
    for version in ("0.3.36", "0.3.36+cu124", "0.3.36+rocm6.3", "0.3.36.post1", "0.3.99"):
        assert version in wanted.specifier
    assert "0.3.35" not in wanted.specifier and "0.4.0" not in wanted.specifier
    assert not wanted.extras and wanted.marker is None and binding.version()


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="only git knows what belongs to the source")
def test_the_wheel_and_the_sdist_are_complete_and_the_same_twice(tmp_path: Path) -> None:
    files = []
    for place in ("one", "another"):
        tree = source.copy_to(tmp_path / place)
        environment = {**os.environ, "SOURCE_DATE_EPOCH": source.epoch()}
        command = [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path / place / "dist")]
        subprocess.run(command, cwd=tree, env=environment, capture_output=True, check=True)
        files.append([tmp_path / place / "dist" / name for name in distributions.names()])
    distributions.complete(*files[0], source.tracked())
    assert [path.read_bytes() for path in files[0]] == [path.read_bytes() for path in files[1]]
    with zipfile.ZipFile(files[0][0]) as wheel:
        (metadata,) = (wheel.read(name).decode() for name in wheel.namelist() if name.endswith("/METADATA"))
    links = re.findall(r"\]\(([^)\s]+)\)", metadata)
    assert links and all(link.startswith("https://") for link in links)
    assert f"/blob/v{fclocal.__version__}/CHANGELOG.md" in metadata


def test_a_file_that_is_missing_or_strange_is_named(tmp_path: Path) -> None:
    sdist, wheel = tmp_path / "x-1.tar.gz", tmp_path / "x.whl"
    with tarfile.open(sdist, "w:gz") as archive:
        for name in ("x-1/PKG-INFO", "x-1/fclocal/a.py", "x-1/models.toml"):
            archive.addfile(tarfile.TarInfo(name))
    with zipfile.ZipFile(wheel, "w") as packed:
        packed.writestr("fclocal/a.py", "")
        packed.writestr("fclocal/stray.txt", "")
    with pytest.raises(source.Refused, match=r"x-1\.tar\.gz lacks \['fclocal/b\.toml'\]"):
        distributions.complete(wheel, sdist, ("fclocal/a.py", "fclocal/b.toml", "models.toml"))
    with pytest.raises(source.Refused, match=r"lacks \['fclocal/models\.toml'\] and has \['fclocal/stray\.txt'\]"):
        distributions.complete(wheel, sdist, ("fclocal/a.py", "models.toml"))


def test_packaging_is_no_package() -> None:
    assert not (ROOT / "packaging/__init__.py").exists()
    code = "import packaging, packaging.version; print(packaging.__file__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert not done.stdout.decode().startswith(str(ROOT / "packaging"))


def test_every_command_of_the_workflow_is_one_of_ours() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
    made = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    runs = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    targets = [word for run in runs if run.startswith("make ") for word in run.split()[1:]]
    assert targets and set(targets) <= set(made)
    checked = workflow["jobs"]["check"]
    assert set(checked["strategy"]["matrix"]["python"]) == {"3.11", "3.12", "3.13", "3.14"}
    recipe = re.findall(r"^\t\$\(BIN\)/(.+)$", (ROOT / "Makefile").read_text("utf-8").partition("\ncheck:")[2], re.M)[
        :4
    ]
    assert set(recipe) <= set(runs)
    needed = str(next(one for one in PROJECT["project"]["dependencies"] if one.startswith("llama-cpp-python")))
    assert f'"{needed}"' in " ".join(run for run in runs if "pip wheel" in run)


def test_the_formula_names_the_sdist(tmp_path: Path) -> None:
    formula = script("formula")
    sdist = tmp_path / distributions.names()[1]
    with pytest.raises(source.Refused, match="make dist"):
        formula.write(sdist)
    sdist.write_bytes(b"sdist")
    written = formula.write(sdist)
    text = written.read_text("utf-8")
    assert f"fclocal-{fclocal.__version__}.tar.gz" in text and hashlib.sha256(b"sdist").hexdigest() in text
    assert not {"VERSION", "SHA256"} & set(re.findall(r"[A-Z0-9]+", text))
    if ruby := shutil.which("ruby"):
        assert subprocess.run([ruby, "-c", str(written)], capture_output=True, check=False).returncode == 0
