"""A trained model on disk, and what can be done with it.

    runs/<name>/
        manifest.json         what it is, how it came about, SHA-256 and size of every other file; carries its own seal
        model.safetensors     weights of the best seed on the validation part
        seeds/<n>.safetensors weights of the other seeds
        beside/<cell>.safetensors   a plain cell trained under the same settings, to look at beside the model
        metrics.jsonl         a row an evaluation
        report.html, figures/ for people
        checkpoints/          only of an interrupted run: what `fit --resume` goes on from

Loading checks every file before anything is used, and executes nothing: weights are plain arrays, all else is JSON.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from remanence.data.encoders import GenerateEncoders, PairEncoders
from remanence.data.examples import Part
from remanence.data.text_side import TextSide
from remanence.errors import DataError, RunError, SettingError
from remanence.prediction.completion import completion, continued, unknown_in
from remanence.prediction.dynamic import measure_dynamically
from remanence.prediction.ensemble import Ensemble
from remanence.prediction.outputs import measure, outputs
from remanence.prediction.writers import check_suffix, write_rows
from remanence.run_checks import MANIFEST, OTHER_VERSION, TRAIN_AGAIN, check_cell, check_file, check_keys, validated
from remanence.settings import SamplingSettings, Settings, sampling_from
from remanence.settings_use import for_a_run
from remanence.storage import read_sealed, read_tensors, sha256, write_sealed
from remanence.tasks import TASKS
from remanence.tasks.task import Prepared, Scores, Task

__all__ = ["COMPARISON", "MANIFEST", "Run", "evaluate", "is_run", "predict", "seal"]

SCHEMA = 1
COMPARISON = "comparison.json"


class Run:
    """A run that has been read and checked; made by `Run.load` or `remanence.fit`.

    Args:
        path: its folder.
        manifest: the content of manifest.json.
    """

    def __init__(self, path: Path, manifest: Mapping[str, Any]) -> None:
        self.path, self.manifest = path, manifest

    def __repr__(self) -> str:
        facts = f"{self.manifest['task']}, {self.settings.model.cell}, {self.manifest['parameters']:,} parameters"
        return f"Run({str(self.path)!r}: {facts})"

    @classmethod
    def load(cls, path: str | Path) -> Run:
        """Read a run, checking every file it lists.

        Raises:
            RunError: a file is missing, damaged or foreign, or the run is of another version.
        """
        folder = Path(path)
        if not folder.is_dir():
            raise RunError(f"{folder}: no such run", remedy="give the folder that `remanence fit` wrote")
        if (folder / COMPARISON).is_file():
            inside = sorted(entry.name for entry in folder.iterdir() if (entry / MANIFEST).is_file())
            raise RunError(
                f"{folder}: a comparison, which holds several runs",
                remedy=f"name one of them: {', '.join(str(folder / name) for name in inside)}",
            )
        manifest = read_sealed(folder / MANIFEST, TRAIN_AGAIN)
        if manifest.get("schema") != SCHEMA:
            raise RunError(
                f"{folder / MANIFEST}: a run of version {manifest.get('schema')!r}, this program reads {SCHEMA}",
                remedy=OTHER_VERSION,
            )
        check_keys(folder, manifest)
        for name, facts in manifest["files"].items():
            check_file(folder, name, facts)
        run = cls(folder, manifest)
        # Read now, so that a foreign manifest is told here and not at first use.
        _ = run.settings, run.task, run.encoders
        check_cell(folder, manifest)
        return run

    @cached_property
    def settings(self) -> Settings:
        """Every option, those the task chose included."""
        return validated(Settings, self.manifest["settings"], self.path)

    @cached_property
    def task(self) -> Task:
        name = self.manifest["task"]
        if name not in TASKS:
            raise RunError(f"{self.path}: unknown task {name!r}", remedy=TRAIN_AGAIN)
        return TASKS[name]

    @cached_property
    def encoders(self) -> BaseModel:
        """Scaler, vocabulary, labels: what was fitted on the training part."""
        return validated(self.task.encoders_type, self.manifest["encoders"], self.path)

    @cached_property
    def model(self) -> Any:
        """The model of the best seed, a `remanence.nn.model.SequenceModel` in evaluation mode."""
        return self._model(self.settings, "model.safetensors")

    @cached_property
    def members(self) -> dict[int, Any]:
        """The models of all seeds: seed → model."""
        return {facts["seed"]: self._model(self.settings, facts["file"]) for facts in self.manifest["seeds"]}

    def ensemble(self, seeds: Collection[int] = ()) -> Ensemble:
        """The models of some seeds, by default of all, answering together.

        Raises:
            SettingError: a run of one seed, or one whose answers have no mean.
        """
        if not self.task.answers_by_mean:
            raise SettingError(f"a run that was trained to {self.task.name} answers by one model", name="ensemble")
        if len(self.members) < 2:
            raise SettingError("the run has one seed only", name="ensemble", remedy="train it with --seeds 5")
        chosen = [model for seed, model in self.members.items() if not seeds or seed in seeds]
        return Ensemble(chosen, self.settings.train.truncate)

    @cached_property
    def beside(self) -> dict[str, Any]:
        """Companions trained under the same settings: cell → model."""
        found = {}
        for name, facts in self.manifest["beside"].items():
            settings = validated(Settings, facts["settings"], self.path)
            found[name] = self._model(settings, facts["file"])
        return found

    @cached_property
    def metrics_rows(self) -> list[dict[str, Any]]:
        """Rows of metrics.jsonl: one for each evaluation in training."""
        text = (self.path / "metrics.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    @cached_property
    def prepared(self) -> Prepared:
        """The data of the training, read again; unchanged since, or an error.

        Raises:
            DataError: the file is gone, or was changed.
        """
        source = self.source
        with _read_by_a_run():
            prepared = self.task.prepare(source, self.settings.data)
        if prepared.fingerprint != self.manifest["data"]["fingerprint"]:
            raise DataError("changed since the run was trained", path=source, remedy="give the file to use by name")
        return prepared

    @property
    def source(self) -> Path:
        """The file it was trained on: as it was given, or as it lies from the run."""
        given = Path(self.manifest["data"]["path"])
        beside = Path(os.path.normpath(self.path / self.manifest["data"]["from_run"]))
        return beside if not given.exists() and beside.exists() else given

    def part(self, name: str = "test") -> Part:
        """The part `train`, `valid` or `test` of the data it was trained on."""
        if name not in ("train", "valid", "test"):
            raise SettingError(f"expected train, valid or test, came '{name}'", name="part")
        return getattr(self.prepared, name)

    def open(self, path: str | Path, *, answers: bool = False) -> Part:
        """A new file through the run's encoders.

        Args:
            path: a file with the columns of the training file; its sequences may be of other lengths.
            answers: the file must hold the answers.
        """
        with _read_by_a_run():
            return self.task.reopen(Path(path), self.settings.data, self.encoders, answers=answers)

    @contextmanager
    def reading_text(self, text: str) -> Iterator[Part]:
        """One text, read as it would be from a file: a part of a single example, good inside the `with`.

        Raises:
            SettingError: the run reads numbers.
        """
        encoders: Any = self.encoders
        if all(getattr(encoders, name, None) is None for name in ("vocabulary", "symbols")) and not isinstance(
            getattr(encoders, "source", None), TextSide
        ):
            raise SettingError(f"this run reads {encoders.reads}, not texts", name="text", remedy="use --row or --file")
        if not text.strip():
            raise DataError("an empty text", remedy="--text needs a letter at least")
        plain = {"format": "jsonl", "delimiter": None, "split_column": None, "columns": ()}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "text.jsonl"
            path.write_text(json.dumps({encoders.input[0]: text}, ensure_ascii=False) + "\n", encoding="utf-8")
            yield self.task.reopen(path, self.settings.data.model_copy(update=plain), self.encoders, answers=False)

    def evaluate(
        self,
        path: str | Path | None = None,
        *,
        part: str = "test",
        dynamic: float | None = None,
        ensemble: bool = False,
        note: Callable[[str], None] | None = None,
    ) -> Scores:
        """Score the model on a file, or on a part of the data it was trained on.

        Args:
            dynamic: let it go on learning from what was scored, with this step size (see `prediction.dynamic`).
            ensemble: score the models of all seeds together.
            note: told what a person should know of the file.

        Raises:
            DataError: the file cannot be read, holds no answers, or changed since the training.
            SettingError: `dynamic` for a run that does not generate, `ensemble` for one that cannot answer so.
        """
        examples = self.part(part) if path is None else self.open(path, answers=True)
        if not len(examples):
            raise DataError(f"the {part} part is empty", remedy="give a file, or another --part")
        _tell(examples, note)
        if dynamic is not None:
            parts = self.prepared.train, examples
            return measure_dynamically(self.task, self.model, parts, self.encoders, self.settings, rate=dynamic)
        model = self.ensemble() if ensemble else self.model
        return measure(self.task, model, examples, self.encoders, self.settings)[0]

    def predict(
        self,
        path: str | Path | None = None,
        *,
        text: str | None = None,
        alignment: bool = False,
        ensemble: bool = False,
        note: Callable[[str], None] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Answer every example of a file: rows of a table, column → value, in the file's own units.

        A forecast's file ends where the forecast begins: each series gives `horizon` rows.

        Args:
            path: the file.
            text: one text instead of a file, for runs that read texts.
            alignment: of runs that write texts, also give which step of the source each piece came from, as JSON.
            ensemble: the models of all seeds answer together.
            note: told what a person should know of the file before the first answer.

        Raises:
            SettingError: neither file nor text, or both; a text for a run that reads numbers; `ensemble` for a run
                that cannot answer so, `alignment` for one that writes no texts.
        """
        if (path is None) == (text is None):
            raise SettingError("give either a file or a text", name="text", remedy="leave one of them out")
        if alignment and not isinstance(self.encoders, PairEncoders):
            raise SettingError("this run writes no texts", name="alignment", remedy="leave it out")
        model = self.ensemble() if ensemble else self.model
        with self.reading_text(text) if text is not None else nullcontext(self.open(str(path))) as examples:
            _tell(examples, note, self.task.remarks(self.settings))
            for row in self._answers(model, examples):
                named = {"example": text} if text is not None and "example" in row else {}
                yield {name: value for name, value in (row | named).items() if alignment or name != "alignment"}

    def _answers(self, model: Any, examples: Part) -> Iterator[dict[str, Any]]:
        for output, batch in outputs(model, examples, self.settings, in_order=True):
            yield from self.task.rows(output.cpu(), batch, examples, self.encoders, self.settings)

    def write_predictions(self, path: str | Path, out: str | Path, *, alignment: bool = False) -> int:
        """Write the answers for a file as CSV, JSON lines or Parquet, by the suffix of `out`; how many rows."""
        check_suffix(Path(out))
        return write_rows(self.predict(path, alignment=alignment), Path(out))

    def completion(self, text: str, sampling: SamplingSettings, sample: int = 0) -> Iterator[str]:
        """Go on with a text, piece by piece as it is written (see `prediction.completion`).

        Raises:
            SettingError: the run does another task, or was trained on music.
        """
        return completion(self.model, self._writer, text, sampling, sample)

    def generate(self, text: str = "", **options: Any) -> list[str]:
        """Go on with a text: what is written after it, as many times as `samples` says.

        Args:
            text: empty for the beginning of a text.
            options: the fields of `remanence.settings.SamplingSettings`, such as `length=100`, `seed=3`.
        """
        sampling = sampling_from(options)
        return ["".join(self.completion(text, sampling, sample)) for sample in range(sampling.samples)]

    def play(self, row: int = 0, path: str | Path | None = None, **options: Any) -> list[list[list[int]]]:
        """Go on with the first half of a piece of music: MIDI numbers of each frame, as many times as `samples` says.

        Args:
            row: which piece, from 0.
            path: of this file; of the test part where None.
            options: as those of `generate`.

        Raises:
            SettingError: the run was not trained on music, or there is no such piece.
        """
        if self._writer.symbols is not None:
            raise SettingError(f"{self.path} was trained on texts", name="row", remedy="give it a --text")
        part = self.part() if path is None else self.open(path)
        if not 0 <= row < len(part):
            raise SettingError(f"expected 0 … {len(part) - 1}, came {row}", name="row")
        sampling, batch = sampling_from(options), part.batch(np.array([row]))
        frames = batch.inputs.data[0, : max(1, int(batch.inputs.lengths[0]) // 2)].numpy()
        return [list(continued(self.model, frames, sampling, sample)) for sample in range(sampling.samples)]

    def unknown_in(self, text: str) -> str:
        """The characters of a text that training never saw, each once."""
        return unknown_in(self._writer, text)

    @property
    def _writer(self) -> GenerateEncoders:
        if not isinstance(self.encoders, GenerateEncoders):
            raise SettingError(f"{self.path} was trained to {self.task.name}", remedy="train one with --task generate")
        return self.encoders

    def _model(self, settings: Settings, file: str) -> Any:
        import torch

        before = torch.get_rng_state()
        try:
            model = self.task.model(self.encoders, settings)
        finally:
            torch.set_rng_state(before)
        try:
            model.load_state_dict(read_tensors(self.path / file, TRAIN_AGAIN))
        except RuntimeError as error:
            first = str(error).splitlines()[-1].strip()
            raise RunError(f"{self.path / file}: does not fit the model ({first})", remedy=OTHER_VERSION) from error
        return model.eval()


def evaluate(run: str | Path | Run, path: str | Path | None = None, *, part: str = "test") -> Scores:
    """Score a run on a file, or on a part of the data it was trained on (see `Run.evaluate`)."""
    return (run if isinstance(run, Run) else Run.load(run)).evaluate(path, part=part)


def predict(run: str | Path | Run, path: str | Path) -> Iterator[dict[str, Any]]:
    """Answer every example of a file, a row at a time (see `Run.predict`)."""
    return (run if isinstance(run, Run) else Run.load(run)).predict(path)


@contextmanager
def _read_by_a_run() -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise for_a_run(error) from None


def _tell(examples: Part, note: Callable[[str], None] | None, remarks: tuple[str, ...] = ()) -> None:
    if note is not None:
        for text in (*examples.notes, *remarks):
            note(text)


def is_run(folder: Path) -> bool:
    """Whether a folder looks like a run or a comparison: what may be replaced by another."""
    return (folder / MANIFEST).is_file() or (folder / COMPARISON).is_file()


def seal(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Write manifest.json over the files that lie in a folder, with their digests; the manifest as written."""
    files = {}
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder).as_posix()
        if file.is_file() and name != MANIFEST:
            files[name] = {"sha256": sha256(file), "size": file.stat().st_size}
    sealed = {"schema": SCHEMA, **manifest, "files": files}
    write_sealed(folder / MANIFEST, sealed)
    return sealed
