"""The folders gateway/ and operator/ hold packages and are none.

A top-level package called `operator` would shadow the standard library's and kill every
interpreter started in the root.
"""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOUSES = {"gateway": "mcp_gateway", "operator": "mcp_gateway_operator"}


@pytest.mark.parametrize(("folder", "package"), HOUSES.items())
def test_a_house_holds_one_package_and_no_loose_module(folder: str, package: str) -> None:
    house = ROOT / folder
    packages = [path.parent.name for path in house.glob("*/__init__.py")]
    assert packages == [package]
    assert list(house.glob("*.py")) == []


@pytest.mark.parametrize("folder", [".", "operator", "gateway"])
def test_operator_is_the_standard_librarys(folder: str) -> None:
    program = "import operator; print(operator.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT / folder,
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert not done.stdout.startswith(str(ROOT))


def test_no_folder_of_tests_shadows_a_library() -> None:
    names = {path.parent.name for path in (ROOT / "tests").rglob("__init__.py")}
    assert not names & set(sys.stdlib_module_names)
