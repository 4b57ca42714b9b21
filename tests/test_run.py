"""A run on disk: what is read is what was written, or an error."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from remanence import run as runs
from remanence.errors import DataError, RunError, SettingError
from remanence.run import MANIFEST, Run, seal
from remanence.storage import write_sealed
from remanence.train import fit as fitting
from remanence.train.fit import fit
from tests.train.made import OPTIONS, load_csv


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("small")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "_report", lambda *_: None)
        file = load_csv(folder / "load.csv")
        return fit(file, out=folder / "run", progress=False, steps=4, seeds=2, **OPTIONS)


@pytest.fixture
def copy(small: Run, tmp_path: Path) -> Path:
    shutil.copytree(small.path, tmp_path / "run")
    return tmp_path / "run"


def reseal(folder: Path, **changes: Any) -> None:
    """Write a manifest that is whole, but says something else."""
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    manifest.pop("seal")
    write_sealed(folder / MANIFEST, manifest | changes)


def test_loaded_run_is_the_one_written(small: Run) -> None:
    again = Run.load(small.path)
    assert again.manifest == small.manifest
    assert again.settings == small.settings
    assert again.encoders == small.encoders
    for name, value in small.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name])
    assert set(again.beside) == {"rnn"}
    assert set(again.members) == {0, 1}
    assert [row["step"] for row in again.metrics_rows]


def test_loading_leaves_the_random_state_alone(small: Run) -> None:
    before = torch.get_rng_state()
    _ = Run.load(small.path).model
    assert torch.equal(torch.get_rng_state(), before)


def test_every_flipped_bit_is_found(copy: Path) -> None:
    checked = 0
    for file in sorted(path for path in copy.rglob("*") if path.is_file()):
        content = file.read_bytes()
        for place in range(0, len(content), 101):
            spoilt = bytearray(content)
            spoilt[place] ^= 1 << (place % 8)
            file.write_bytes(spoilt)
            with pytest.raises(RunError):
                Run.load(copy)
            checked += 1
        file.write_bytes(content)
    assert checked > 100
    Run.load(copy)


@pytest.mark.parametrize("name", ["manifest.json", "model.safetensors", "metrics.jsonl", "beside/rnn.safetensors"])
def test_truncated_or_missing_file_is_found(copy: Path, name: str) -> None:
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[:-1])
    with pytest.raises(RunError, match=name):
        Run.load(copy)
    (copy / name).unlink()
    with pytest.raises(RunError, match=name):
        Run.load(copy)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1, 2]", b'{"seal": 3}', b"\xff\xfe", b"[" * 100_000, b'{"a": NaN}'])
def test_foreign_json_is_refused(copy: Path, content: bytes) -> None:
    (copy / MANIFEST).write_bytes(content)
    with pytest.raises(RunError, match="manifest"):
        Run.load(copy)


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "a/../../b", "c:evil", "a\\b", ""])
def test_path_outside_the_run_is_refused(copy: Path, name: str) -> None:
    files = json.loads((copy / MANIFEST).read_text("utf-8"))["files"]
    reseal(copy, files=files | {name: {"sha256": "0" * 64, "size": 1}})
    with pytest.raises(RunError, match="outside the run"):
        Run.load(copy)


def test_link_is_refused(copy: Path, tmp_path: Path) -> None:
    shutil.move(copy / "model.safetensors", tmp_path / "elsewhere")
    (copy / "model.safetensors").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunError, match="a link"):
        Run.load(copy)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 99}, "version 99"),
        ({"schema": None}, "version"),
        ({"task": "divine"}, "unknown task"),
        ({"settings": {"model": {"cell": 3}}}, "Settings"),
        ({"encoders": {}}, "Encoders"),
        ({"cell": {"name": "lstm"}}, "cell"),
        ({"files": {}}, "model.safetensors"),
    ],
)
def test_manifest_of_another_kind_is_told_in_one_line(copy: Path, changes: dict, message: str) -> None:
    reseal(copy, **changes)
    with pytest.raises(RunError, match=message) as caught:
        Run.load(copy)
    assert "\n" not in str(caught.value)
    assert caught.value.remedy


def test_missing_key_is_told(copy: Path) -> None:
    manifest = json.loads((copy / MANIFEST).read_text("utf-8"))
    write_sealed(copy / MANIFEST, {key: value for key, value in manifest.items() if key not in ("seal", "encoders")})
    with pytest.raises(RunError, match="encoders"):
        Run.load(copy)


def test_changed_equations_are_told(copy: Path) -> None:
    cell = json.loads((copy / MANIFEST).read_text("utf-8"))["cell"]
    other = {
        **cell,
        "equations": cell["equations"].replace("tanh", "sigmoid"),
        "additive_memory": {},
        "torch_twin": None,
    }
    reseal(copy, cell=other)
    with pytest.raises(RunError, match="equations"):
        Run.load(copy)


def test_weights_of_another_model_are_told(copy: Path) -> None:
    shutil.copyfile(copy / "beside" / "rnn.safetensors", copy / "model.safetensors")
    manifest = json.loads((copy / MANIFEST).read_text("utf-8"))
    seal(copy, {key: value for key, value in manifest.items() if key not in ("seal", "files")})
    with pytest.raises(RunError, match="does not fit the model"):
        _ = Run.load(copy).model


def test_absent_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such run"):
        Run.load(tmp_path / "nothing")
    with pytest.raises(RunError, match=r"manifest\.json: no such file"):
        Run.load(tmp_path)


def test_data_are_found_when_run_and_data_move_together(small: Run, tmp_path: Path) -> None:
    shutil.copytree(small.path.parent, tmp_path / "moved")
    moved = Run.load(tmp_path / "moved" / "run")
    assert runs.evaluate(moved).metrics == small.evaluate().metrics


def test_changed_data_are_told(small: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(small.path.parent, tmp_path / "moved")
    moved = Run.load(tmp_path / "moved" / "run")
    other = load_csv(tmp_path / "moved" / "load.csv", seed=5)
    monkeypatch.setattr(Run, "source", other)
    with pytest.raises(DataError, match="changed since"):
        moved.evaluate()
    assert moved.evaluate(other).metrics["mae"] > 0


def test_unknown_part_is_told(small: Run) -> None:
    with pytest.raises(SettingError, match="train, valid or test"):
        small.evaluate(part="exam")
