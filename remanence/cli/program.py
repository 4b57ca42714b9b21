"""The verbs together, and how a mistake ends: one line on standard error and exit status 2.

Exit status: 0 done · 1 `doctor` found something broken · 2 a mistake in files or options · 130 interrupted.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from remanence import __version__
from remanence.cli import learn, look, problem, store, use
from remanence.errors import RemanenceError

__all__ = ["app", "main", "run"]

app = typer.Typer(
    name="remanence",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)

look.add_to(app)
problem.add_to(app)
store.add_to(app)
learn.add_to(app)
use.add_to(app)

# The base of what typer raises for a wrong command line; typer carries its own copy of click from some version on.
_UsageError: type[Exception] = next(
    base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException" and issubclass(base, Exception)
)


def _version(asked: bool) -> None:
    if asked:
        print(f"remanence {__version__}")
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Does memory help on your sequence data, what is remembered, and the model put to work.

    Begin with [bold]remanence describe FILE[/bold], then [bold]compare[/bold] or [bold]fit[/bold].
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; the exit status.

    Args:
        arguments: words after the program's name; None takes them from `sys.argv`.
    """
    try:
        status = app(args=None if arguments is None else list(arguments), standalone_mode=False)
        sys.stdout.flush()
        if status == 130:
            # typer keeps the exception to itself.
            return _tell("interrupted", status)
        return status if isinstance(status, int) else 0
    except RemanenceError as error:
        return _tell(str(error), error.exit_status)
    except _UsageError as error:
        return _tell(error.format_message() + " — see remanence --help", 2)  # type: ignore[attr-defined]
    except (KeyboardInterrupt, typer.Abort):
        return _tell("interrupted", 130)
    except BrokenPipeError:
        # The reader of our output (`| head`) has enough.
        _drop_output()
        return 0
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        return _tell(f"{error.filename or 'output'}: {os.strerror(error.errno).lower()}", 2)


def run() -> NoReturn:
    """Run the command `remanence`, and leave with its status."""
    status = main()
    try:
        sys.stdout.flush()
    except OSError:
        # Told already.
        _drop_output()
    sys.exit(status)


def _drop_output() -> None:
    """Send what waits to be printed nowhere: Python would complain of it again at exit, with a status of its own."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(message: str, status: int) -> int:
    print("error: " + " ".join(message.split("\n")) if status == 2 else message, file=sys.stderr)
    return status
