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


def test_notes_tell_once_how_long_a_long_training_takes(capsys: pytest.CaptureFixture[str]) -> None:
    notes = Notes()
    for title, used in (("lstm, seed 0", 0.01), ("lstm, seed 1", 0.5), ("gru, seed 0", 0.02)):
        notes.begin(title)
        for seconds in (0.0, 5.0, 11.0, 12.0):
            notes.step(used * seconds / 11, 1.0, seconds)
    told = [line for line in capsys.readouterr().err.splitlines() if "left at most" in line]
    # 11 s are 1 % of 1100 s, and 2 % of 550 s; half of 22 s is not worth a line.
    assert [line.split(" left")[0] for line in told] == ["lstm, seed 0: 18:09", "gru, seed 0: 8:59"]


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
