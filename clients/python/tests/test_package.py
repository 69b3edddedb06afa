"""The package as it is published: built, and installed where nothing else is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from prompt_ledger.testing import DevServer
from tests.test_readme import ten_lines

ROOT = Path(__file__).parents[1]
# pip's cache, proxy and certificates; nothing that names this project's code.
INHERITED = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME")}


def run(*command: str | Path, **environment: str) -> str:
    """What a command says."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**INHERITED, **environment}, cwd="/")
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    # The source distribution, and from it the wheel.
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    return folder


def test_both_distributions_hold_the_package_and_nothing_else(built: Path) -> None:
    [wheel], [sdist] = built.glob("*.whl"), built.glob("*.tar.gz")
    in_wheel = zipfile.ZipFile(wheel).namelist()
    with tarfile.open(sdist) as archive:
        in_sdist = [name.split("/", 1)[1] for name in archive.getnames() if "/" in name]
    assert "prompt_ledger/py.typed" in in_wheel
    assert "prompt_ledger/_proto/spec_pb2.pyi" in in_wheel
    assert all(name.startswith(("prompt_ledger/", "prompt_ledger-")) for name in in_wheel)
    own = sorted(name.removeprefix("src/") for name in in_sdist if name.startswith("src/prompt_ledger"))
    assert own == sorted(name for name in in_wheel if name.startswith("prompt_ledger/"))
    assert sorted(name for name in in_sdist if not name.startswith("src/")) == [
        ".gitignore",
        "PKG-INFO",
        "README.md",
        "pyproject.toml",
    ]


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that was empty. What the package needs has the locked versions, whatever came since."""
    folder = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", folder)
    [wheel] = built.glob("*.whl")
    # Without the hashes: pip would want one of the wheel too.
    lock = (ROOT / "requirements" / "newest.txt").read_text()
    versions = folder / "versions.txt"
    versions.write_text("\n".join(re.findall(r"^\S+==.*(?= \\$)", lock, re.MULTILINE)))
    run(folder / "bin" / "pip", "install", "-q", "--disable-pip-version-check", "-c", versions, wheel)
    return folder / "bin" / "python"


def test_the_ten_lines_of_the_readme_run_where_only_the_package_is(installed: Path, prompt_ledger_server: DevServer) -> None:
    server = {"LEDGER_SERVER": prompt_ledger_server.server, "LEDGER_API_KEY": prompt_ledger_server.api_key}
    assert "Ada" in run(installed, "-W", "error", "-c", ten_lines(), **server)


def test_the_command_is_there(installed: Path) -> None:
    assert "--dry-run" in run(installed, "-m", "prompt_ledger", "register", "--help")
