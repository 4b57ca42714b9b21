"""What every test shares: one thread, a cache folder of its own, and a closing table of where the time went."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent

# Set before torch is imported, and handed on to processes that tests start: small tensors gain nothing from threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Compiled kernels, named by all that shaped them, are kept between runs; not among the user's own.
os.environ.setdefault("REMANENCE_CACHE", str(REPOSITORY / ".cache" / "tests"))


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the seconds spent in each test file, slowest first."""
    seconds: dict[str, float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[report.nodeid.partition("::")[0]] += report.duration
    slow = sorted((item for item in seconds.items() if item[1] >= 0.5), key=lambda item: -item[1])
    terminalreporter.section("seconds by file")
    for name, spent in slow:
        terminalreporter.write_line(f"{spent:7.1f}  {name}")
    terminalreporter.write_line(f"{sum(seconds.values()):7.1f}  all {len(seconds)} files")
