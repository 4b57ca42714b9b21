"""Which task uses which setting, stated once: what a task does not use is refused, and the help says whose it is.

A setting without a line here is everybody's. Use depends on the task and on what is read: `differences` is for numbers
and sounds, whatever is made of them; `beam` for tasks that write, whatever they read. Some settings act only together
with another one: `reach` says how far `initialise` chrono is to bridge.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, get_args

from pydantic import BaseModel

from remanence.errors import DataError, SettingError
from remanence.settings import Settings

__all__ = ["READS", "USES", "Read", "Uses", "for_a_run", "refuse_idle", "refuse_unread", "refuse_unused", "remark"]

Read = Literal["texts", "numbers", "sounds", "videos", "music"]
Uses = frozenset[tuple[str, str]]
"""Pairs of a task and of what it reads."""

READS: Mapping[str, tuple[Read, ...]] = MappingProxyType(
    {
        "forecast": ("numbers",),
        "classify": ("texts", "numbers", "sounds", "videos"),
        "regress": ("texts", "numbers", "sounds", "videos"),
        "tag": ("texts", "numbers", "sounds", "videos"),
        "generate": ("texts", "music"),
        "translate": ("texts", "sounds", "videos"),
        "summarise": ("texts", "sounds", "videos"),
        "caption": ("videos",),
        "transcribe": ("sounds",),
    }
)
"""What each task can read."""


def _of(tasks: str, reads: str = "") -> Uses:
    """The named tasks, of what they read, or of the named kinds alone."""
    return frozenset(
        (name, read) for name in tasks.split() for read in READS[name] if not reads or read in reads.split()
    )


_ALL = " ".join(READS)
_POOLED = "classify regress"
_LABELLED = f"{_POOLED} tag"
_WRITTEN = "translate summarise caption"
_PAIRS = f"{_WRITTEN} transcribe"
_FORECAST, _TAG = _of("forecast"), _of("tag")
_FILMS, _SOUNDS = _of(_ALL, "videos"), _of(_ALL, "sounds")
_NUMBERS = _of(_ALL, "numbers sounds music")
_ANSWERS = _of(_PAIRS)
_TOKENS = _of(_ALL, "texts") | _of(_WRITTEN)

USES: Mapping[str, Uses] = MappingProxyType(
    {
        # the data
        "time": _FORECAST | _of(_LABELLED, "numbers"),
        **dict.fromkeys(("series", "target", "known", "observed", "horizon", "season", "stride"), _FORECAST),
        **dict.fromkeys(("calendar", "gaps", "duplicates"), _FORECAST),
        "context": _FORECAST | _of("generate", "texts"),
        "input": _of(_ALL) - _FORECAST,
        "label": _of(_LABELLED),
        "answer": _ANSWERS,
        "sequence": _of(_LABELLED, "texts numbers"),
        "group": _of(_LABELLED) | _ANSWERS,
        "tokens": _of(_ALL, "texts"),
        "answer_tokens": _ANSWERS,
        "lower": _ANSWERS,
        **dict.fromkeys(("unknown", "word_texts"), _of("tag", "texts")),
        "ngrams": _of(_LABELLED, "texts"),
        "document": _of("generate", "texts"),
        "transpose": _of("generate", "music"),
        "vocabulary": _of(_ALL, "texts") | _ANSWERS,
        **dict.fromkeys(("scheme", "window", "margin"), _TAG),
        **dict.fromkeys(("position", "motion", "motion_steps"), _of("tag", "numbers")),
        "sample_rate": _SOUNDS | _of("tag", "numbers"),
        "longest": _of(_ALL) - _FORECAST - _TAG,
        "permute": _of(_POOLED, "numbers"),
        "origin": _of(_POOLED, "numbers"),
        "scale": _of(_POOLED, "numbers sounds"),
        "missing": _of(f"forecast {_LABELLED}", "numbers"),
        "sort": _of(f"forecast {_LABELLED}", "numbers"),
        "interval": _of("tag", "sounds videos"),
        **dict.fromkeys(("folder", "bad", "longest_seconds"), _SOUNDS | _FILMS),
        **dict.fromkeys(("features", "bands", "coefficients", "deltas", "centre", "frame_ms", "hop_ms"), _SOUNDS),
        **dict.fromkeys(("frame_rate", "frame_size", "colour"), _FILMS),
        # the model
        "embedding": _TOKENS | _FILMS,
        "embedding_dropout": _TOKENS,
        **dict.fromkeys(("characters", "character_size"), _of("tag", "texts")),
        "crf": _TAG,
        "tied": _of("generate", "texts") | _of(_WRITTEN),
        "weight_drop": _of("generate"),
        **dict.fromkeys(("skip", "pool"), _of(_POOLED)),
        "convolution": _NUMBERS | _FILMS,
        "branch": _of(_POOLED, "numbers sounds"),
        **dict.fromkeys(("differences", "displacement"), _NUMBERS),
        **dict.fromkeys(("attention", "input_feeding", "coverage", "length_penalty"), _of(_WRITTEN)),
        "copy_source": _of(_WRITTEN, "texts"),
        "beam": _ANSWERS,
        **dict.fromkeys(("normalise", "strategy", "quantiles"), _FORECAST),
        **dict.fromkeys(("stack", "look_ahead", "mask_steps", "mask_features"), _of("transcribe")),
        **dict.fromkeys(("language", "language_order"), _of("transcribe")),
        # the training
        "loss": _FORECAST | _of("regress"),
        **dict.fromkeys(("recall", "calibrate"), _TAG),
        "smoothing": _of(f"classify tag {_WRITTEN}"),
        "scheduled_sampling": _of(_WRITTEN),
        "noise": _NUMBERS | _FILMS,
        "stretch": _of("classify", "numbers sounds") | _of("transcribe"),
        "input_dropout": _of("classify", "numbers sounds"),
    }
)


def refuse_unused(settings: Settings, task: str) -> None:
    """Refuse what was given and what the task has no use for, whatever it reads.

    Raises:
        SettingError: the first such setting; who uses it.

    Example:
        >>> from remanence.settings import settings_from
        >>> refuse_unused(settings_from({"loss": "mae"}), "classify")
        Traceback (most recent call last):
            ...
        remanence.errors.SettingError: --loss: classify does not use it — it is for forecast, regress
    """
    for name in _given(settings):
        users = _users(USES[name])
        if task not in users:
            raise SettingError(f"{task} does not use it", name=name, remedy=f"it is for {', '.join(users)}")


def refuse_unread(settings: Settings, task: str, read: str) -> None:
    """Refuse what was given and what the task has no use for where it reads such data.

    Raises:
        SettingError: the first such setting; what it is for.
    """
    for name in _given(settings):
        if (task, read) not in USES[name]:
            others = ", ".join(other for other in READS[task] if (task, other) in USES[name])
            raise SettingError(f"{task} does not use it for {read}", name=name, remedy=f"it is for {others}")


def refuse_idle(settings: Settings, complete: Settings) -> None:
    """Refuse what was given and does nothing without another setting.

    Args:
        settings: as given.
        complete: with what was guessed and chosen.

    Raises:
        SettingError: the first such setting; which other one it needs.

    Example:
        >>> from remanence.settings import settings_from
        >>> given = settings_from({"reach": 100})
        >>> refuse_idle(given, given)
        Traceback (most recent call last):
            ...
        remanence.errors.SettingError: --reach: does nothing alone — it goes with --initialise chrono
    """
    known = {name: value for part in _parts(complete) for name, value in part}
    asked = {name: value for part in _parts(settings) for name, value in part if name in part.model_fields_set}
    for name, (other, acts, companion) in _TOGETHER.items():
        # What asks for nothing, such as 0, lacks nothing.
        if asked.get(name) and not acts(known[other]):
            raise SettingError("does nothing alone", name=name, remedy=f"it goes with --{other} {companion}")


_TOGETHER: Mapping[str, tuple[str, Callable[[Any], bool], str]] = MappingProxyType(
    {
        "motion": ("position", bool, "x,y"),
        "motion_steps": ("position", bool, "x,y"),
        "margin": ("window", lambda steps: steps != 0, "N"),
        "coefficients": ("features", lambda kind: kind != "mel", "mfcc"),
        "reach": ("initialise", lambda starts: "chrono" in starts, "chrono"),
        "character_size": ("characters", lambda kind: kind not in (None, "none"), "convolution"),
        "copy_source": ("attention", lambda kind: kind != "none", "additive"),
        "coverage": ("attention", lambda kind: kind != "none", "additive"),
        "length_penalty": ("beam", lambda width: width != 1, "N"),
        "language_order": ("language", lambda units: units not in (None, "none"), "words"),
    }
)
"""Setting → another one, whether it acts beside a value of that, and a value beside which it does."""


def remark(name: str) -> str:
    """Whom a setting is for, to stand behind its description; empty where it is for all.

    Example:
        >>> remark("horizon"), remark("differences"), remark("branch"), remark("hidden")
        ('forecast', 'numbers, sounds, music', 'classify, regress; numbers, sounds', '')
    """
    uses = USES.get(name)
    if uses is None:
        return ""
    tasks = _users(uses)
    reads = tuple(read for read in get_args(Read) if any((each, read) in uses for each in tasks))
    able = tuple(each for each in READS if set(READS[each]) & set(reads))
    plain = uses == _of(" ".join(tasks), " ".join(reads))
    named = "" if tasks == able and plain and uses != _of(" ".join(tasks)) else _listed(tasks)
    shown = ", ".join(reads) if plain and uses != _of(" ".join(tasks)) else ""
    return "; ".join(part for part in (named, shown) if part)


def for_a_run(error: DataError) -> DataError:
    """The same flaw told where a trained run reads a file: settings are those of its training, no command takes others.

    Example:
        >>> print(for_a_run(DataError("a gap", path="a.csv", line=3, remedy="mend it, or use --gaps fill")))
        a.csv:3: a gap — mend the file, or train the run anew: use --gaps fill
        >>> print(for_a_run(DataError("no such column (--label)", column="kind", remedy="did you mean 'Kind'?")))
        column 'kind': no such column — did you mean 'Kind'?
    """
    names = {name for part in _parts(Settings()) for name in type(part).model_fields}
    flag = re.compile("|".join(sorted((re.escape("--" + name.replace("_", "-")) for name in names), reverse=True)))
    what = re.sub(rf" \(({flag.pattern})\)", "", error.what)
    remedy = error.remedy
    if flag.search(remedy):
        remedy = remedy.removeprefix("mend it, or ").removeprefix("mend the file, or ")
        remedy = f"mend the file, or train the run anew: {remedy}"
    return DataError(what, path=error.path, line=error.line, column=error.column, remedy=remedy)


def _listed(tasks: tuple[str, ...]) -> str:
    rest = tuple(each for each in READS if each not in tasks)
    return f"not {', '.join(rest)}" if len(rest) <= 2 else ", ".join(tasks)


def _users(uses: Uses) -> tuple[str, ...]:
    return tuple(name for name in READS if any(task == name for task, _ in uses))


def _given(settings: Settings) -> tuple[str, ...]:
    """Settings that were given and are not everybody's, in the order of their statement."""
    given = {name for part in _parts(settings) for name in part.model_fields_set if getattr(part, name) is not None}
    return tuple(name for name in USES if name in given)


def _parts(settings: Settings) -> tuple[BaseModel, ...]:
    return settings.data, settings.model, settings.train
