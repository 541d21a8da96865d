"""The doctor: it finds each known illness, and calls a healthy installation healthy."""

import json
import sys
import tomllib
from importlib import metadata

import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement

import cli.doctor
import symdata.installation.doctor as doctor
from cli.main import main
from symdata.installation.doctor import BASE, Diagnosis, Finding, clashes
from tests.conftest import ROOT

FINE = {"numpy": "2.4.6", "pyarrow": "26.0.1", "pandas": "3.1.1"}
REQUIREMENTS = {
    "": [Requirement("kornia>=0.9,<0.10"), Requirement("pillow>=11")],
    "train": [Requirement("accelerate>=1.10; extra == 'train'")],
    "planar": [Requirement("scipy>=1.13"), Requirement("pymanopt>=2.2")],
    "steerable": [Requirement("escnn==1.0.11"), Requirement("numpy<2")],
}


@pytest.fixture
def sick(monkeypatch):
    """A function that makes the doctor see these versions and these broken imports."""

    def pretend(versions, errors=(), **facts):
        answers = {module: {"error": None} for module in {**BASE, **doctor.OPTIONAL}.values()}
        answers |= {module: {"error": error} for module, error in dict(errors).items()}
        answers["matplotlib"] |= {"fonts": 40, **facts}
        there = {name: version for name, version in (dict.fromkeys(BASE, "1.0") | versions).items() if version}
        monkeypatch.setattr(doctor, "installed", lambda names: there)
        monkeypatch.setattr(doctor, "declared", lambda name: REQUIREMENTS)
        monkeypatch.setattr(doctor, "run_probe", lambda modules: answers)
        return {finding.name: finding for finding in doctor.diagnose().findings}

    return pretend


def healthy(findings):
    return Diagnosis(tuple(findings)).healthy


WELL = {**FINE, "kornia": "0.9.0", "pillow": "13.0.0"}


def test_this_very_installation_is_healthy():
    result = CliRunner().invoke(main, ["doctor", "--json"])
    report = json.loads(result.stdout)
    assert result.exit_code == 0, result.output
    assert report["healthy"]
    found = {finding["name"]: finding for finding in report["findings"]}
    assert set(BASE) <= set(found)
    for name in BASE:
        assert found[name]["status"] == "ok"
        assert found[name]["version"] == metadata.version(name)


def test_a_well_installation_has_no_problem(sick):
    found = sick(WELL)
    assert healthy(found.values())
    assert not [finding for finding in found.values() if finding.problem]


@pytest.mark.parametrize(
    ("versions", "name", "mend"),
    [
        ({"numpy": "1.26.4", "pyarrow": "26.0.1"}, "numpy / pyarrow", '"numpy>=2.0.2"'),
        ({"numpy": "1.26.4", "pyarrow": "26.0.1", "lie-learn": "0.0.2"}, "numpy / pyarrow", '"pyarrow>=24,<26"'),
        ({"numpy": "2.0.1", "pandas": "3.1.1"}, "numpy / pandas", '"numpy>=2.0.2"'),
        ({"numpy": "1.26.4", "pandas": "3.1.1", "lie-learn": "0.0.2"}, "numpy / pandas", '"pandas>=3.0,<3.1"'),
        ({"numpy": "2.4.6", "lie-learn": "0.0.2"}, "numpy / lie-learn", "uninstall -y lie-learn"),
    ],
)
def test_each_known_clash_is_found_and_mended(versions, name, mend):
    (finding,) = clashes(versions)
    assert (finding.name, finding.status) == (name, "clash")
    assert finding.mend.startswith(sys.executable)
    assert mend in finding.mend


@pytest.mark.parametrize(
    "versions",
    [
        FINE,
        {"numpy": "1.26.4", "pyarrow": "25.0.1", "pandas": "3.0.6", "lie-learn": "0.0.2"},
        {"numpy": "2.0.2", "pandas": "3.1.0"},
        {},
    ],
)
def test_versions_that_go_together_do_not_clash(versions):
    assert clashes(versions) == []


def test_a_missing_base_package_is_fatal_and_an_absent_optional_one_is_not(sick, monkeypatch):
    assert healthy(sick(WELL).values())
    monkeypatch.setitem(BASE, "nosuch", "nosuch")
    found = sick({**WELL, "nosuch": None})
    assert found["nosuch"].status == "missing"
    assert found["nosuch"].mend.endswith('-m pip install "nosuch"')
    assert not healthy(found.values())
    assert found["escnn"].status == "absent"


def test_extras_that_are_not_installed_are_told_and_no_fault(sick):
    found = sick(WELL)
    assert found["accelerate"].status == found["transformers"].status == found["timm"].status == "absent"
    assert found["accelerate"].detail.endswith("the extra train")
    assert found["accelerate"].mend.endswith('-m pip install "accelerate>=1.10"')
    assert healthy(found.values()) and not any(found[name].problem or found[name].needed for name in doctor.EXTRAS)
    assert sick({**WELL, "accelerate": "1.12"})["accelerate"].status == "ok"


def test_a_version_out_of_range_is_fatal(sick):
    found = sick({**WELL, "kornia": "0.10.0"})
    assert found["kornia"].status == "clash"
    assert 'install "kornia<0.10,>=0.9"' in found["kornia"].mend
    assert not healthy(found.values())


def test_a_base_package_that_does_not_import_is_fatal(sick):
    found = sick(WELL, {"PIL.Image": "ImportError: libjpeg.so.62"})
    assert found["pillow"].status == "broken"
    assert "libjpeg" in found["pillow"].detail
    assert '"pillow==13.0.0"' in found["pillow"].mend
    assert not healthy(found.values())


def test_a_torchvision_that_does_not_load_is_named_but_not_fatal(sick):
    found = sick({**WELL, "torchvision": "0.28.0"}, {"torchvision": "RuntimeError: operator torchvision::nms"})
    assert found["torchvision"].status == "broken"
    assert found["torchvision"].mend.endswith("-m pip uninstall -y torchvision")
    assert healthy(found.values())


ESCNN = {"escnn": "1.0.11", **dict.fromkeys(doctor.ESCNN_NEEDS, "1.0")}


@pytest.mark.parametrize("lacking", doctor.ESCNN_NEEDS)
def test_escnn_without_its_needs_gets_the_recipe(sick, lacking):
    assert "escnn's needs" not in sick(WELL | ESCNN)
    found = sick(WELL | ESCNN | {lacking: None})
    finding = found["escnn's needs"]
    assert finding.status == "missing"
    assert finding.detail == f"escnn needs {lacking}"
    assert '"pymanopt>=2.2"' in finding.mend
    assert "install --no-deps escnn==1.0.11" in finding.mend
    assert "numpy<2" not in finding.mend
    assert healthy(found.values())


def test_what_a_clash_broke_has_no_mend_of_its_own(sick):
    broken = {"pandas": "ImportError: C extension", "datasets": "ImportError: C extension"}
    found = sick({**WELL, "numpy": "1.26.4", "pyarrow": "25.0.1"}, broken)
    assert found["numpy / pandas"].mend
    assert found["pandas"].status == found["datasets"].status == "broken"
    assert found["pandas"].mend is found["datasets"].mend is None
    assert not healthy(found.values())


def test_a_matplotlib_without_fonts_is_fatal(sick):
    found = sick(WELL, fonts=0)
    assert found["fonts"].status == "missing"
    assert not healthy(found.values())


def test_the_settings_of_the_hub_are_reported(sick, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert sick(WELL)["HF_ENDPOINT"].detail == "http://127.0.0.1:9"


def test_an_import_that_raises_or_ends_the_interpreter_is_named(tmp_path, monkeypatch):
    (tmp_path / "raises_at_import.py").write_text("raise RuntimeError('two\\nlines')")
    (tmp_path / "kills_at_import.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    (tmp_path / "talks_at_import.py").write_text("print('hello')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    names = ["raises_at_import", "kills_at_import", "talks_at_import", "json"]
    answers = doctor.run_probe(names)
    assert answers["raises_at_import"]["error"] == "RuntimeError: two"
    assert answers["kills_at_import"]["error"] == "importing it ended the interpreter (SIGKILL)"
    assert answers["talks_at_import"]["error"] is None
    assert answers["json"]["error"] is None


def test_the_command_prints_the_mend_and_fails(monkeypatch):
    findings = Finding("pillow", "missing", True, mend="pip install pillow"), Finding("numpy", "ok", True, "2.4.6")
    monkeypatch.setattr(cli.doctor, "diagnose", lambda: Diagnosis(findings))
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 1
    assert "\n  pip install pillow\n" in result.stdout
    assert result.stdout == f"{Diagnosis(findings)}\n"


def test_a_notebook_shows_the_findings():
    finding = Finding("pillow", "missing", True, detail="a < b", mend="pip install pillow")
    html = Diagnosis((finding,))._repr_html_()
    assert "a &lt; b" in html and "  pip install pillow" in html


@pytest.mark.checkout
def test_the_table_of_the_base_is_that_of_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {Requirement(line).name for line in project["dependencies"]} == set(BASE) - {"pandas"}
    for name, (extra, _) in doctor.EXTRAS.items():
        assert name in {Requirement(line).name for line in project["optional-dependencies"][extra]}
    planar = project["optional-dependencies"]["planar"]
    assert [Requirement(line).name for line in planar] == list(doctor.ESCNN_NEEDS)


@pytest.mark.checkout
def test_makefile_and_doctor_install_the_same_escnn():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (pin,) = [line for line in project["optional-dependencies"]["steerable"] if line.startswith("escnn")]
    assert f"ESCNN  ?= {pin}\n" in (ROOT / "Makefile").read_text()
