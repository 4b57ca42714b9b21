"""`python -m remanence` is the command `remanence`."""

from __future__ import annotations

import sys

from remanence.cli import main

sys.exit(main())
