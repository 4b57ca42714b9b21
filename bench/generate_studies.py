"""The published protocols of language models and music, and what is measured beside the models."""

from __future__ import annotations

import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.protocol import Study, extract

__all__ = ["GENERATE_STUDIES", "learning_on", "simple_models"]


_BEFORE = (
    "measured before fresh vectors of models that write became larger (standard deviation 0.1 then; "
    "`remanence/tasks/stack.py` says what it is now)"
)


def _war_and_peace(
    model: str, published: str, floors: dict[str, tuple[float, str]], *, remark: str = _BEFORE, **options: Any
) -> Study:
    """The novel, by two layers of some kind."""

    def unpack(source: Path, folder: Path) -> dict[str, Any]:
        # Its bytes, with both of a line end, are the 87 symbols of the paper. Readers take both for one, so that a sign
        # of its own stands for the first.
        text = lzma.decompress(source.read_bytes()).decode().replace("\r\n", "\r").replace("\n", "\r")
        path = folder / "war-and-peace.txt"
        path.write_text(text.replace("\r", "␍\n"), encoding="utf-8")
        return {
            "path": path, "task": "generate", "split": "0.8,0.1,0.1", "layers": 2, "context": 100, "batch_size": 20,
        } | options  # fmt: skip

    return Study(
        f"generate, War and Peace, {model}",
        "characters, 80/10/10 % contiguous, nats a character; `nats_dynamic`: learning on from what was scored",
        "generate/warpeace_input.txt.xz",
        unpack,
        published,
        floors,
        seeds=1,
        simple=True,
        dynamic=5e-4,
        remark=remark + ".",
    )


def _music(name: str, **options: Any) -> Callable[[Path, Path], dict[str, Any]]:
    def unpack(source: Path, folder: Path) -> dict[str, Any]:
        extract(source, folder)
        return {"path": next(folder.rglob(f"{name}.mat")), "task": "generate"} | options

    return unpack


def simple_models(fitted: Any) -> dict[str, dict[str, float]]:
    """Test scores of a run's simple models that learn."""
    from remanence.prediction.outputs import measure

    found = {}
    for model in fitted.task.baselines(fitted.prepared, fitted.settings):
        if not model.trivial:
            model.fit(fitted.prepared.train, fitted.prepared.valid)
            scores = measure(fitted.task, model, fitted.prepared.test, fitted.encoders, fitted.settings)[0]
            found[model.name] = dict(scores.metrics)
    return found


def learning_on(fitted: Any, rate: float) -> dict[str, float]:
    """Test scores of a run's best seed that goes on learning from what was scored, named `…_dynamic`."""
    return {f"{name}_dynamic": value for name, value in fitted.evaluate(dynamic=rate).metrics.items()}


GENERATE_STUDIES: dict[str, Study] = {
    "jsb": Study(
        "generate, JSB chorales",
        "229/76/77 pieces as given, training pieces also moved by up to 5 keys; NLL of a frame over 88 keys, the first "
        "frame given",
        "generate/polymusic.tar.xz",
        _music("JSB_Chorales", transpose=5, hidden=400, dropout=0.3, epochs=20),
        "LSTM 8.45, GRU 8.43, RNN 8.91, TCN 8.10 (Bai et al. 2018)",
        {"nll": (8.3, "at most")},
        seeds=2,
        simple=True,
    ),
    "nottingham": Study(
        "generate, Nottingham",
        "694/173/170 pieces as given, NLL of a frame over 88 keys, the first frame given",
        "generate/polymusic.tar.xz",
        _music("Nottingham", hidden=384, dropout=0.5, batch_size=4, learning_rate=0.004, epochs=40),
        "LSTM 3.29, GRU 3.46, RNN 4.05, TCN 3.07 (Bai et al. 2018)",
        {"nll": (3.2, "at most")},
        seeds=2,
        simple=True,
    ),
    "warpeace": _war_and_peace(
        "two layers of 256, layer-norm LSTM",
        "LSTM 2 × 256 1.137, 2 × 512 1.092, best recurrent 1.077, 20-gram 1.195 (Karpathy et al. 2015)",
        {"nats": (1.13, "at most"), "nats_dynamic": (1.077, "at most")},
        cell="lstm-layernorm", hidden=256, learning_rate=0.005, dropout=0.2, epochs=46,
    ),
    "warpeace-lstm": _war_and_peace(
        "two layers of 256, LSTM",
        "LSTM 2 × 256 1.137 (Karpathy et al. 2015)",
        {"nats": (0.0, ""), "nats_dynamic": (0.0, "")},
        hidden=256, learning_rate=0.005, dropout=0.2, epochs=48,
    ),
    "warpeace-512": _war_and_peace(
        "two layers of 512, LSTM",
        "LSTM 2 × 512 1.092, best recurrent 1.077 (Karpathy et al. 2015)",
        {"nats": (0.0, ""), "nats_dynamic": (1.077, "at most")},
        remark=f"{_BEFORE}; `nats_dynamic` with a step size of 2e-4, before weights that training never used were kept "
        "from running away",
        hidden=512, learning_rate=0.003, dropout=0.3, epochs=13,
    ),
}  # fmt: skip
