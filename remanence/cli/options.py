"""Flags generated from `remanence.settings`: a field `batch_size` is the flag `--batch-size`, its description the help.

Values arrive as text and are checked in one place, by the settings themselves, so the same mistake has the same message
on the command line and in Python.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from remanence.settings import DataSettings, ModelSettings, SamplingSettings, TrainSettings
from remanence.settings_media import ListeningSettings, MediaSettings
from remanence.settings_use import remark

__all__ = ["DATA", "SAMPLING", "SETTINGS", "File", "Json", "Out", "Overwrite", "Quiet", "with_settings"]

File = Annotated[str, typer.Argument(metavar="FILE", help="CSV, TSV, JSON lines, Parquet, .ts, .arff or text.")]
Out = Annotated[str | None, typer.Option("--out", metavar="DIR", help="Folder to write; by default under runs/.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, and nothing else there.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress and no notes on standard error.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what stands at --out.")]

Panels = tuple[tuple[str, type[BaseModel]], ...]
SETTINGS: Panels = (
    ("Data", DataSettings),
    ("Sound and video", MediaSettings),
    ("Sound and video", ListeningSettings),
    ("Model", ModelSettings),
    ("Training", TrainSettings),
)
DATA: Panels = tuple((panel, of) for panel, of in SETTINGS if of in (DataSettings, MediaSettings))
_MEDIA = (MediaSettings, ListeningSettings)
SAMPLING: Panels = (("Sampling", SamplingSettings),)


def with_settings(*without: str, of: Panels = SETTINGS) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the flags of settings, all but some of them; they arrive as keyword arguments in `options`.

    The command's own last parameter must be `**options`.
    """

    def widen(command: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(command, eval_str=True)
        own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
        made = [
            _parameter(name, field, panel)
            for panel, settings in of
            for name, field in settings.model_fields.items()
            # What settings take from those of media is shown in their panel.
            if name not in without and (settings in _MEDIA or not any(name in each.model_fields for each in _MEDIA))
        ]
        every = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*own, *made)]
        command.__signature__ = signature.replace(parameters=every)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in every}
        return command

    return widen


def _parameter(name: str, field: FieldInfo, panel: str) -> inspect.Parameter:
    flag = "--" + name.replace("_", "-")
    help_text = field.description or ""
    if (whose := remark(name)) and panel != "Sampling":
        help_text += f" [{whose}]"
    if field.default not in (None, (), False):
        default = ",".join(map(str, field.default)) if isinstance(field.default, tuple) else field.default
        help_text += f" [default: {default}]"
    if _is(field.annotation, bool):
        kind, option = bool | None, typer.Option(f"{flag}/--no-{flag[2:]}", help=help_text, rich_help_panel=panel)
    else:
        metavar = _metavar(field.annotation)
        kind, option = str | None, typer.Option(flag, metavar=metavar, help=help_text, rich_help_panel=panel)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, option])


def _metavar(annotation: Any) -> str:
    """What a value looks like: `N`, `X`, `a|b|c`, `a|b,…`, `NAME,…`."""
    for part in _alternatives(annotation):
        if get_origin(part) is Literal:
            return "|".join(map(str, get_args(part)))
        if get_origin(part) is tuple:
            inner = get_args(part)[0]
            return "NAME,…" if inner is str else f"{_metavar(inner)},…"
        if part in (int, float):
            return "N" if part is int else "X"
    return "TEXT"


def _is(annotation: Any, kind: type) -> bool:
    return kind in _alternatives(annotation)


def _alternatives(annotation: Any) -> list[Any]:
    """The types of a union, `Annotated` taken off."""
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [inner for part in get_args(annotation) for inner in _alternatives(part)]
    return [annotation]
