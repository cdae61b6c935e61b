"""The shape of the project: who may import whom, and rules that a reader relies on."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "caffeflow"

# DESIGN: each floor may import the floors below it; peers stand on the same floor.
FLOORS: dict[str, int] = {
    "errors": -1, "resources": 0, "system": 0, "files": 0, "stand_ins": 0, "image_bytes": 0,
    "proto": 1, "download": 1, "recipes": 1,
    "layers": 2, "fillers": 2, "images": 2, "splitmix": 2, "augmentation": 2,
    "data": 3, "render": 3, "engine": 3, "weights": 3, "evaluate": 3, "report": 3, "export": 3, "native": 3,
    "workflows": 4, "pycaffe": 4,
    "cli": 5, "drop_in": 5,
    "__main__": 6,
}  # fmt: skip
PEERS_ALLOWED = {("engine/feed", "data/readers"), ("augmentation.py", "images")}
OWNERS = {
    "torch": ("engine/", "weights/torch_files.py"),
    "jinja2": ("render/",),
    "click": ("cli/",),
    "lmdb": ("data/",),
    "onnx": ("export/",),
    "onnxruntime": ("export/",),
    "cv2": ("images.py", "evaluate/opencv_check.py"),
    "subprocess": ("system.py",),
}
FORBIDDEN_NAMES = {"utils", "helpers", "common", "misc", "base", "core", "manager", "handler"}
MAX_FILE_LINES = 450
MAX_FUNCTION_LINES = 60


def sources() -> list[Path]:
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 60
    return files


def inside(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def may_import(path: Path, module: str) -> bool:
    here = inside(path).removesuffix(".py").split("/")[0]
    there = module.split(".")[1]
    if here == "__init__":
        return False
    if there == here or there == "__version__" or FLOORS[there] < FLOORS[here]:
        return True
    target = module.removeprefix("caffeflow.").replace(".", "/")
    # `from caffeflow.data import readers` is seen as two names, of which the first is only the way.
    return any(
        inside(path).startswith(source) and (target.startswith(peer) or target == peer.split("/")[0])
        for source, peer in PEERS_ALLOWED
    )


@pytest.mark.parametrize("path", sources(), ids=inside)
def test_imports_point_downwards(path: Path) -> None:
    for module in imports(path):
        if module.startswith("caffeflow."):
            assert may_import(path, module), f"{inside(path)} imports {module}"


@pytest.mark.parametrize("path", sources(), ids=inside)
def test_heavy_libraries_have_one_home(path: Path) -> None:
    for module in imports(path):
        homes = OWNERS.get(module.split(".")[0])
        if homes is not None:
            assert inside(path).startswith(homes), f"{inside(path)} imports {module}; only {homes} may"


@pytest.mark.parametrize("path", [p for p in sources() if inside(p).startswith("layers/")], ids=inside)
def test_layers_use_the_standard_library_only(path: Path) -> None:
    for module in imports(path):
        top = module.split(".")[0]
        assert top in sys.stdlib_module_names | {"caffeflow"}, f"{inside(path)} imports {module}"


@pytest.mark.parametrize("path", sources(), ids=inside)
def test_files_and_functions_stay_readable(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_FILE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
            length = node.end_lineno - node.lineno + 1
            assert length <= MAX_FUNCTION_LINES, f"{node.name} has {length} lines"


@pytest.mark.parametrize("path", sources(), ids=inside)
def test_names_say_something(path: Path) -> None:
    assert path.stem not in FORBIDDEN_NAMES


@pytest.mark.parametrize("path", sources(), ids=inside)
def test_only_the_boundary_catches_everything(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "everything"
            if caught in ("Exception", "everything"):
                assert inside(path) == "cli/main.py", f"{inside(path)}:{node.lineno} catches {caught}"
            assert not all(isinstance(step, ast.Pass) for step in node.body), f"{inside(path)}:{node.lineno}"


def loaded_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nsys.stderr.write(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stderr.split()} | set(done.stderr.split())


@pytest.mark.parametrize(
    "code",
    [
        "import caffeflow",
        "from caffeflow.cli.main import run; assert run(['--help']) == 0",
        "from caffeflow.cli.main import run; assert run(['train', '--help']) == 0",
    ],
)
def test_help_loads_nothing_heavy(code: str) -> None:
    heavy = {"torch", "numpy", "lmdb", "cv2", "jinja2", "google.protobuf", "matplotlib"}
    assert not heavy & loaded_after(code)


def test_every_command_has_help_and_an_example() -> None:
    import click

    from caffeflow.cli.main import COMMANDS, cli

    listed = {path.stem for path in (PACKAGE / "cli" / "commands").glob("*.py")} - {"__init__"}
    assert listed == set(COMMANDS)
    assert len(COMMANDS) == 18
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        subcommands = command.commands.values() if isinstance(command, click.Group) else [command]
        for each in subcommands:
            assert each.help, f"{name} {each.name} has no help"
            assert "Example: caffeflow" in (each.epilog or ""), f"{name} {each.name} has no example"
