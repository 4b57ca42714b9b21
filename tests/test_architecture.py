"""The walls of the house, read from the source with `ast`: nothing here imports the package.

Imports run one way: errors, sequences ← compiler ← cells ← nn; data; tasks; run; explain ← report ← train ← cli. Public
names are listed where they are defined, files and functions stay short, and nothing can execute what it loads.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = REPOSITORY / "remanence"

GROUND = {"cores", "errors", "sequences", "settings", "settings_use", "validation"}
PLAIN = {"statistics", "storage", "table", "verdict"}
MODELS = GROUND | PLAIN | {"compiler", "cells", "data", "nn", "tasks"}
RUNS = MODELS | {"prediction", "run", "run_checks"}
PAGES = RUNS | {"explain", "report"}

# What each part of the package may import, beside itself. A new part is added here, and so placed in the order.
MAY_IMPORT: dict[str, set[str]] = {
    "cores": set(),
    "errors": set(),
    "table": set(),
    "sequences": {"errors"},
    "validation": set(),
    "settings_media": set(),
    "settings_points": set(),
    "settings_sampling": set(),
    "settings_texts": set(),
    "settings": {"errors", "settings_media", "settings_points", "settings_sampling", "settings_texts", "validation"},
    "settings_use": {"errors", "settings"},
    "statistics": {"errors"},
    "storage": {"errors"},
    "verdict": {"errors", "statistics"},
    "compiler": {"errors", "sequences"},
    "cells": {"errors", "sequences", "compiler"},
    "data": GROUND | {"table"},
    "nn": GROUND | {"compiler", "cells", "data"},
    "tasks": GROUND | {"compiler", "cells", "data", "nn", "statistics"},
    "prediction": MODELS,
    "run_checks": {"cells", "errors", "storage", "validation"},
    "run": MODELS | {"prediction", "run_checks"},
    "explain": RUNS,
    "report": RUNS | {"explain"},
    "export": RUNS,
    "serve": PAGES | {"export"},
    # A run is whole only with its page, so training stands above the report that it calls for.
    "train": PAGES,
    "doctor": PAGES,
    "cli": PAGES | {"doctor", "export", "serve", "settings_media", "train"},
    "__main__": {"cli"},
    "__init__": PAGES | {"export", "train"},
}

# Stages that must not know torch, so that they can be read, tested and printed alone.
WITHOUT_TORCH = ("compiler.ir", "compiler.parse", "compiler.derive", "compiler.schedule")
# Too slow to import for `remanence --help`.
HEAVY = {
    "torch",
    "numpy",
    "pyarrow",
    "sklearn",
    "llvmlite",
    "altair",
    "vl_convert",
    "safetensors",
    "scipy",
    "soundfile",
}
FORBIDDEN_MODULES = {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "torch.load", "torch.save", "torch.jit.load"}
LONGEST_FILE, LONGEST_FUNCTION = 400, 80

FILES = sorted(path for path in PACKAGE.rglob("*.py"))


def module_name(path: Path) -> str:
    """`compiler.parse` for remanence/compiler/parse.py; `compiler.__init__` for a package's own file."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


MODULES = {module_name(path): path for path in FILES}
every_module = pytest.mark.parametrize("name", MODULES)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def part_of(name: str) -> str:
    """The first word: what the order of imports speaks of."""
    return name.partition(".")[0]


def inner_name(dotted: str) -> str | None:
    """The module that `remanence.a.b` stands for, or None where there is none."""
    rest = dotted.removeprefix("remanence").lstrip(".")
    for name in (rest, f"{rest}.__init__" if rest else "__init__"):
        if name in MODULES:
            return name
    return None


def imports(path: Path, *, only_at_load: bool = False) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """Line, module and names of every import; `only_at_load` leaves out functions and TYPE_CHECKING blocks."""
    waiting: list[ast.AST] = [tree_of(path)]
    while waiting:
        node = waiting.pop()
        if only_at_load and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if only_at_load and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import; write remanence.…"
            yield node.lineno, node.module or "", tuple(alias.name for alias in node.names)
        waiting.extend(ast.iter_child_nodes(node))


def inner_imports(name: str, *, only_at_load: bool = False) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """Imports of the package's own modules; a submodule taken by `from remanence.x import y` counts as x.y."""
    for line, dotted, names in imports(MODULES[name], only_at_load=only_at_load):
        if part_of(dotted) != "remanence":
            continue
        plain = []
        for wanted in names:
            below = inner_name(f"{dotted}.{wanted}")
            if below:
                yield line, below, ()
            else:
                plain.append(wanted)
        home = inner_name(dotted)
        assert home, f"{MODULES[name]}:{line}: no module {dotted}"
        if plain or not names:
            yield line, home, tuple(plain)


def loaded_with(name: str) -> set[str]:
    """Modules of the package loaded when this one is imported, the `__init__` of every folder on the way included."""
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        folders = module.split(".")[:-1]
        above = ["__init__", *(".".join([*folders[: i + 1], "__init__"]) for i in range(len(folders)))]
        waiting += [folder for folder in above if folder in MODULES]
        waiting += [wanted for _, wanted, _ in inner_imports(module, only_at_load=True)]
    return seen


def outer_imports(name: str) -> set[str]:
    return {part_of(dotted) for _, dotted, _ in imports(MODULES[name], only_at_load=True)}


@every_module
def test_imports_run_one_way(name: str) -> None:
    part = part_of(name)
    assert part in MAY_IMPORT, f"{part}: give it a place in MAY_IMPORT"
    for line, wanted, names in inner_imports(name):
        to = part_of(wanted)
        if wanted == "__init__":
            assert names == ("__version__",), f"{MODULES[name]}:{line}: import from where {names} is defined"
        else:
            assert to == part or to in MAY_IMPORT[part], f"{MODULES[name]}:{line}: {part} must not import {to}"


def test_imports_have_no_cycle() -> None:
    state: dict[str, str] = {}

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert state.get(name) != "open", f"imports in a circle: {' → '.join((*way, name))}"
        if name in state:
            return
        state[name] = "open"
        for _, wanted, names in inner_imports(name):
            if wanted != "__init__" or names != ("__version__",):
                visit(wanted, (*way, name))
        state[name] = "done"

    for name in MODULES:
        visit(name, ())


@pytest.mark.parametrize("name", [name for name in WITHOUT_TORCH if name in MODULES])
def test_compiler_stages_know_no_torch(name: str) -> None:
    own = {module for module in loaded_with(name) if part_of(module) == "compiler" and not module.endswith("__init__")}
    for module in own | {name}:
        assert "torch" not in outer_imports(module), f"{name} loads torch through {module}"


@pytest.mark.parametrize("name", ["cli.__init__", "settings"])
def test_command_line_loads_nothing_heavy(name: str) -> None:
    for module in loaded_with(name):
        heavy = outer_imports(module) & HEAVY
        assert not heavy, f"{name} loads {', '.join(sorted(heavy))} through {module}; import inside the function"


def declared_names(name: str) -> list[str] | None:
    """The literal `__all__`, or None."""
    for node in tree_of(MODULES[name]).body:
        if isinstance(node, ast.Assign) and any(ast.unparse(target) == "__all__" for target in node.targets):
            return list(ast.literal_eval(node.value))
    return None


def defined_names(name: str) -> tuple[set[str], set[str]]:
    """Everything bound at the top of a module, and of that what a reader takes for public: classes and functions."""
    bound, public = set(), set()
    for node in ast.walk(tree_of(MODULES[name])):
        if isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {alias.asname or part_of(alias.name) for alias in node.names}
    for node in tree_of(MODULES[name]).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
            # A command is public on the command line, and there alone.
            if not node.name.startswith("_") and part_of(name) != "cli":
                public.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            bound |= {leaf.id for target in targets for leaf in ast.walk(target) if isinstance(leaf, ast.Name)}
    return bound, public


@every_module
def test_all_is_exact(name: str) -> None:
    body = tree_of(MODULES[name]).body
    if name == "__main__" or (name.endswith("__init__") and len(body) <= 1):
        pytest.skip("defines nothing")
    listed = declared_names(name)
    bound, public = defined_names(name)
    if name == "__init__":
        # The root package hands names on when they are asked for, so that importing it stays quick.
        assert public <= set(listed or ()) | {"__version__"}
        return
    assert listed is not None or not public, f"{MODULES[name]}: no __all__"
    listed = listed or []
    assert len(listed) == len(set(listed)), f"{MODULES[name]}: a name twice in __all__"
    assert public <= set(listed), f"{MODULES[name]}: not in __all__: {sorted(public - set(listed))}"
    assert set(listed) <= bound, f"{MODULES[name]}: in __all__ but not defined: {sorted(set(listed) - bound)}"


@every_module
def test_names_cross_a_module_only_when_public(name: str) -> None:
    for line, wanted, names in inner_imports(name):
        listed = declared_names(wanted)
        if wanted == "__init__" or not names:
            continue
        missing = set(names) - set(listed or ())
        assert not missing, f"{MODULES[name]}:{line}: {wanted} does not list {sorted(missing)} in __all__"


@every_module
def test_nothing_loaded_can_execute_code(name: str) -> None:
    path = MODULES[name]
    for line, dotted, _ in imports(path):
        assert part_of(dotted) not in FORBIDDEN_MODULES, f"{path}:{line}: {dotted}"
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in FORBIDDEN_CALLS, f"{path}:{node.lineno}: {called}(…)"
            unsafe = any(k.arg == "allow_pickle" and ast.unparse(k.value) != "False" for k in node.keywords)
            assert not unsafe, f"{path}:{node.lineno}: allow_pickle"


@every_module
def test_every_module_says_what_it_is(name: str) -> None:
    assert ast.get_docstring(tree_of(MODULES[name])), f"{MODULES[name]}: no docstring"


@pytest.mark.parametrize("path", [*FILES, *sorted((REPOSITORY / "tests").rglob("*.py"))], ids=lambda p: p.name)
def test_files_and_functions_are_short(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= LONGEST_FILE, f"{path}: {lines} lines, at most {LONGEST_FILE}: split by noun"
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= LONGEST_FUNCTION, f"{path}:{node.lineno}: {node.name} has {length} lines"


def test_no_path_of_one_machine() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    pattern = re.compile(r"""["'`( =](/(?:home|Users|root|work|opt|tmp|mnt|var)/[\w.-]+)""")
    for name in listed.stdout.splitlines():
        path = REPOSITORY / name
        if path.suffix in {".py", ".md", ".toml", ".yml", ".sh", ""} and path.is_file() and "data" not in path.parts:
            found = pattern.findall(path.read_text(encoding="utf-8"))
            assert not found, f"{name}: {found[0]}"


def test_help_loads_no_torch() -> None:
    code = (
        "import sys\n"
        "from remanence.cli import main\n"
        "assert main(['--help']) == 0\n"
        f"sys.exit(', '.join(sorted({HEAVY!r} & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 0 and "Usage" in done.stdout, done.stderr
