"""Arrow's compute functions, which are generated when it is imported, so that type checkers do not know them."""

from __future__ import annotations

from typing import Any

import pyarrow.compute

__all__ = ["compute"]

compute: Any = pyarrow.compute
