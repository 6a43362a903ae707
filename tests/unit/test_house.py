"""The order of the house: who may import whom, and what a bare import may load."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("extractors", "encoder", "analysis", "viz", "experiments", "ui")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MAKERS = ("encoder/training/", "experiments/natural_", "experiments/train.py", "experiments/recovery.py", "viz/player_assets.py")
"""What makes the model and the player's drawings; it may need what only ``requirements-dev.txt`` installs."""
DOORS = (ROOT / "app.py", ROOT / "cli.py", ROOT / "settings.py")


def imported(tree: ast.AST) -> set[str]:
    """First names of everything imported anywhere below ``tree``, by statement or by ``import_module("...")``."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add((node.module or "").partition(".")[0])
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in ("import_module", "__import__"):
            names |= {str(arg.value).partition(".")[0] for arg in node.args[:1] if isinstance(arg, ast.Constant)}
    return names


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def run_python(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_the_walk_sees_imports_inside_functions_and_by_name():
    tree = ast.parse("def f():\n    import gradio.themes\n    from torch import nn\n    import_module('app')\n")
    assert imported(tree) == {"gradio", "torch", "app"}
    assert len(MODULES) > 30


def test_packages_import_one_way():
    command = [Path(sys.executable).parent / "lint-imports", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_package_imports_the_doors(path):
    assert not imported(parsed(path)) & {"app", "cli"}


def test_the_command_line_opens_the_page_only_inside_serve():
    tree = parsed(ROOT / "cli.py")
    with_app = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and "app" in imported(node)]
    assert with_app == ["serve"]
    outside = [node for node in tree.body if not isinstance(node, ast.FunctionDef)]
    assert not any("app" in imported(node) for node in outside)


@pytest.mark.parametrize("path", [*MODULES, *DOORS], ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_pages_and_their_door_name_gradio(path):
    if path.relative_to(ROOT).parts[0] not in ("ui", "app.py"):
        assert "gradio" not in imported(parsed(path))


@pytest.mark.parametrize("path", [*MODULES, *DOORS], ids=lambda path: str(path.relative_to(ROOT)))
def test_arrays_and_literals_are_read_in_one_place(path):
    """Python's parser may fail in two threads at once, and NumPy reads the head of every array with it."""
    if path != ROOT / "extractors" / "arrays.py":
        named = {
            f"{node.value.id}.{node.attr}" for node in ast.walk(parsed(path)) if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        }
        assert not named & {"np.load", "numpy.load", "ast.parse", "ast.literal_eval"}


def test_settings_import_nothing_of_ours():
    assert not imported(parsed(ROOT / "settings.py")) & {*PACKAGES, "app", "cli"}


@pytest.mark.parametrize("path", [*MODULES, *DOORS], ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_imports_torchvision_or_torchaudio(path):
    assert not imported(parsed(path)) & {"torchvision", "torchaudio"}


def distribution(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement.strip(), maxsplit=1)[0].lower().replace("_", "-")


def installed_by(requirements: Path) -> set[str]:
    """Distributions that a requirements file brings, with all that they need; extras and other systems' ones left out."""
    wanted = [distribution(line) for line in requirements.read_text().splitlines() if line[:1].isalpha()]
    found: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name not in found:
            found.add(name)
            wanted += [distribution(line) for line in requires(name) or () if ";" not in line]
    return found


def versions_asked_for(tree: ast.AST) -> set[str]:
    """Distributions whose version the code asks for by name."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "version"]
    return {str(call.args[0].value).lower() for call in calls if call.args and isinstance(call.args[0], ast.Constant)}


def test_the_app_needs_only_what_requirements_txt_installs():
    there, owners = installed_by(ROOT / "requirements.txt"), packages_distributions()
    assert "pymoten" not in there
    for path in (*MODULES, *DOORS):
        if str(path.relative_to(ROOT)).startswith(MAKERS):
            continue
        tree = parsed(path)
        ours = {*PACKAGES, "app", "cli", "settings", "", *sys.stdlib_module_names}
        missing = {name for name in imported(tree) - ours if not {owner.lower().replace("_", "-") for owner in owners.get(name, ())} & there}
        missing |= versions_asked_for(tree) - there
        assert not missing, f"{path.relative_to(ROOT)}: {', '.join(sorted(missing))}"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_alone_loads_nothing_heavy(package):
    heavy = ("torch", "transformers", "moten", "nilearn", "sklearn", "matplotlib", "faster_whisper", "pocketsphinx")
    done = run_python(f"import sys, {package}; print(*[name for name in {heavy!r} if name in sys.modules])")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_the_page_and_the_command_line_load_no_model_library():
    heavy = ("torch", "transformers", "moten", "nilearn.plotting")
    for door in ("app", "cli"):
        done = run_python(f"import sys, {door}; print(*[name for name in {heavy!r} if name in sys.modules])")
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == [], door


def test_packages_carry_no_catch_all_file():
    assert not [path for path in MODULES if path.stem in ("utils", "helpers", "misc", "common")]
