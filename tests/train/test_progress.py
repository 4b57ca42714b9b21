"""What a person sees while training runs."""

from __future__ import annotations

import sys

import pytest

from remanence.train.progress import Notes, Terminal

HOSTILE = "column '\x1b[31mred\u202e'"
WRITTEN = "column '\\x1b[31mred\\u202e'"


def test_notes_never_obey_what_a_file_says(capsys: pytest.CaptureFixture[str]) -> None:
    Notes().note(HOSTILE)
    Notes().begin(HOSTILE)
    err = capsys.readouterr().err
    assert err == f"{WRITTEN}\ntraining {WRITTEN}\n"


def test_terminal_never_obeys_what_a_file_says(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    terminal.note(HOSTILE)
    terminal.begin(HOSTILE)
    terminal.step(0.5, 1.0, 1.0)
    terminal.end()
    err = capsys.readouterr().err
    assert WRITTEN in err and "\x1b[31mred" not in err and "\u202e" not in err
