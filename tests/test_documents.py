"""Documents run: their commands and Python blocks on tiny budgets, doctests, generated pages, links between files.

A ```console block holds commands after `$`; their output is for readers and not compared, their exit status is. A
```python block runs too. `<!-- skip: why -->` on the line before a block leaves it out, and the reason is printed.
"""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import pkgutil
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
from helpers import REPOSITORY, command

import remanence

DOCUMENTS = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md"), *REPOSITORY.glob("examples/**/*.md")])
RUN = [path for path in DOCUMENTS if path.name not in ("cells.md", "cli.md", "results.md", "CHANGELOG.md")]
MODULES = [
    found.name
    for found in pkgutil.walk_packages(remanence.__path__, "remanence.")
    if not found.name.endswith("__main__")
]

TINY = ["--steps", "2", "--seeds", "1", "--hidden", "4"]
FEWER = {"fit": ["--beside", "none"], "compare": ["--cells", "gru"]}
BUDGET = re.compile(r"\s--(steps|epochs|minutes|seeds|hidden|layers|batch-size|cells|beside)[ =]\S+")
BLOCK = re.compile(r"^(<!-- skip: (?P<why>.*?) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)^```", re.M | re.S)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")

# Commands that build, download or never end; the tests and the continuous build go through them elsewhere.
ELSEWHERE = ("make ", "git ", "pip ", "cd ", "python -m venv", "open ")


class Block(NamedTuple):
    language: str
    text: str
    line: int
    why: str


def blocks(path: Path) -> Iterator[Block]:
    text = path.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        yield Block(found["language"], found["text"], text.count("\n", 0, found.start()) + 1, found["why"] or "")


def commands(text: str) -> Iterator[str]:
    joined = text.replace("\\\n", " ")
    return (line[2:].strip() for line in joined.splitlines() if line.startswith("$ "))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that looks like a fresh clone, where all documents are worked through, one after the other."""
    folder = tmp_path_factory.mktemp("desk")
    shutil.copytree(REPOSITORY / "examples", folder / "examples")
    return folder


@pytest.fixture(scope="module")
def done() -> set[str]:
    """Commands that an earlier document had too: README and its translation share theirs."""
    return set()


@pytest.mark.parametrize("path", RUN, ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_document_runs(path: Path, desk: Path, done: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk)
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(path):
        where = f"{path.name}:{block.line}"
        if block.why:
            print(f"{where}: skipped, {block.why}")
        elif block.language == "console":
            for line in commands(block.text):
                run_command(line, where, done)
        elif block.language == "python":
            run_python(block.text, where, names)


def run_command(line: str, where: str, done: set[str]) -> None:
    if line in done or line.startswith(ELSEWHERE):
        return
    done.add(line)
    words = shlex.split(line, comments=True)
    if words[0] == "python":
        finished = subprocess.run([sys.executable, *words[1:]], capture_output=True, text=True)
        assert finished.returncode == 0, f"{where}: {line}\n{finished.stderr}"
        return
    assert words[0] == "remanence", f"{where}: cannot run `{line}`; mark the block `<!-- skip: why -->`"
    if words[1] in FEWER:
        words = shlex.split(BUDGET.sub("", line), comments=True) + TINY + FEWER[words[1]]
    outcome = command(*words[1:])
    assert outcome.status == 0, f"{where}: {' '.join(words)}\n{outcome.out[-2000:]}\n{outcome.err[-2000:]}"


def run_python(text: str, where: str, names: dict[str, object]) -> None:
    small = re.sub(r"\b(steps|epochs|minutes|seeds|hidden)=\d+", lambda found: f"{found[1]}=2", text)
    exec(compile(small, where, "exec"), names)


def test_examples_run(desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(desk)
    module_at(desk / "examples" / "forecast_csv.py").main(steps=2, hidden=4)
    module_at(desk / "examples" / "classify_chinese.py").main(steps=2, hidden=4)
    module_at(desk / "examples" / "tag_words.py").main(steps=2, hidden=4)
    module_at(desk / "examples" / "own_cell.py").main(steps=2)
    module_at(desk / "examples" / "write_poems.py").main(steps=2, hidden=4, length=8)
    module_at(desk / "examples" / "translate_chinese.py").main(steps=2, hidden=4)
    module_at(desk / "examples" / "sum_up_abstracts.py").main(steps=2, hidden=4)
    module_at(desk / "examples" / "long_memory.py").main(steps=2, hidden=4, length=10, sequences=60)
    assert "temp_max" in capsys.readouterr().out


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), verbose=False)
    assert result.failed == 0, f"{name}: {result.failed} of {result.attempted} examples; see the output above"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.S)
    for target in LINK.findall(text):
        place, _, heading = target.partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        file = (path.parent / place).resolve() if place else path
        assert file.exists(), f"{path.name}: {target} is not there"
        if heading and file.suffix == ".md":
            assert heading in anchors(file), f"{path.name}: no heading {heading} in {file.name}"


def anchors(path: Path) -> set[str]:
    """Headings as links name them: lower case, spaces to hyphens, punctuation gone."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.S | re.M)
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def module_at(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["cells.md", "cli.md"])
def test_generated_page_is_current(name: str) -> None:
    written = module_at(REPOSITORY / "docs" / "generate.py").pages()[name]
    assert (REPOSITORY / "docs" / name).read_text(encoding="utf-8") == written, "run `make docs`"


@pytest.mark.parametrize("path", sorted((REPOSITORY / "docs").glob("*.md")), ids=lambda p: p.name)
def test_every_page_is_in_the_contents(path: Path) -> None:
    assert path.stem == "index" or path.stem in (REPOSITORY / "docs/index.md").read_text(encoding="utf-8").split()


def test_every_example_file_is_small_and_has_its_licence() -> None:
    files = [path for path in (REPOSITORY / "examples/data").iterdir() if path.is_file() and path.suffix != ".md"]
    table = (REPOSITORY / "examples/data/README.md").read_text(encoding="utf-8")
    for path in files:
        licence = re.sub(r"_(TRAIN|TEST)$", "", path.stem) + ".txt"
        assert (path.parent / "licences" / licence).exists(), f"{path.name}: no licences/{licence}"
        assert path.stem.partition("_")[0] in table, f"{path.name} is not in the table"
        assert path.stat().st_size < 600_000
    assert sum(path.stat().st_size for path in files) < 4_000_000


def test_commands_of_the_two_readmes_agree() -> None:
    both = [
        [line for block in blocks(REPOSITORY / name) if block.language == "console" for line in commands(block.text)]
        for name in ("README.md", "README.zh.md")
    ]
    assert both[0] == both[1]
