"""Drop-ins inside the graphs of torch.compile.

torch.compile leaves every instance of torch.nn's RNN, LSTM and GRU out of its graphs, unless `allow_rnn` among the
settings of torch._dynamo says otherwise, for it would take their loops apart step by step. Ours are such instances,
too, but each is one operator. No public name lets a class in, so that setting is switched on for the moment at which
torch looks at a layer of ours. A torch without these names breaks its graph at the layer, as it does at its own.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from torch import nn

__all__ = ["let_in"]

_COMPILER = "torch._dynamo"


def let_in(kind: type[nn.Module]) -> None:
    """Let layers of a class into graphs, as long as their `path` is "cpu-fused".

    torch's compiler takes a second to import, and few programs need it: it is changed when it has been imported.
    """
    if _COMPILER in sys.modules:
        _open(kind)
    else:
        sys.meta_path.insert(0, _Watch(kind))


class _Watch(MetaPathFinder):
    """Finds nothing; notices when torch's compiler is imported."""

    def __init__(self, kind: type[nn.Module]) -> None:
        self._kind = kind

    def find_spec(self, fullname: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != _COMPILER:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def then_open(module: ModuleType) -> None:
                load(module)
                _open(self._kind)

            spec.loader.exec_module = then_open
        return spec


def _open(kind: type[nn.Module]) -> None:
    try:
        from torch._dynamo import config
        from torch._dynamo.variables.builder import VariableBuilder

        theirs = VariableBuilder.wrap_module
        _ = config.allow_rnn
    except (ImportError, AttributeError):
        return

    @functools.wraps(theirs)
    def wrap_module(self: Any, value: Any) -> Any:
        if isinstance(value, kind) and value.path == "cpu-fused":
            with config.patch(allow_rnn=True):
                return theirs(self, value)
        return theirs(self, value)

    VariableBuilder.wrap_module = wrap_module
