"""Arrays on disk hold what arrays in memory hold."""

from __future__ import annotations

import errno
from typing import Any

import numpy as np
import pytest

from remanence.data.spills import Spill, drop_pages, slabs
from remanence.errors import MachineError


@pytest.mark.parametrize("threshold", [0, 100, 10**9])
@pytest.mark.parametrize("width", [None, 1, 5])
def test_rows_come_back_in_order(threshold: int, width: int | None) -> None:
    shape = (63,) if width is None else (63, width)
    values = np.random.default_rng(0).normal(size=shape)
    spill = Spill(np.float64, width, threshold=threshold)
    for start, stop in ((0, 1), (1, 1), (1, 40), (40, 63)):
        spill.append(values[start:stop])
    array = spill.finish()
    drop_pages(array)
    np.testing.assert_array_equal(array, values)
    assert sum(part.stop - part.start for part in slabs(array)) == 63


def test_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write(self, _: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None: ...

    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: Full())
    with pytest.raises(MachineError, match="is full — free some space, or set TMPDIR"):
        Spill(np.float64, threshold=0).append(np.zeros(3))
