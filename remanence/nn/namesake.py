"""What all drop-ins share: they are torch.nn's modules under the same names, with nothing of their own inside."""

from __future__ import annotations

from typing import Any

from torch import nn

from remanence.errors import SettingError

__all__ = ["Namesake"]


class _TypeRefusedError(SettingError, TypeError):
    """A setting of another type than torch takes."""


class _ValueRefusedError(SettingError, ValueError):
    """A setting outside its range."""


class Namesake(nn.Module):
    """First base of a drop-in; the last but the others of torch is the class that it stands for.

    It keeps nothing that torch's module does not, so that a module can change its class and remain the same object.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        try:
            super().__init__(*args, **kwargs)
        except TypeError as error:
            raise _TypeRefusedError(str(error)) from None
        except ValueError as error:
            raise _ValueRefusedError(str(error)) from None

    def __prepare_scriptable__(self) -> nn.Module:
        """TorchScript compiles torch's own class; the module that it reads shares everything with this one."""
        theirs = next(base for base in type(self).__mro__ if not issubclass(base, Namesake))
        twin: nn.Module = object.__new__(theirs)
        twin.__setstate__(self.__getstate__())
        return twin
