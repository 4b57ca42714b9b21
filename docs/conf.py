"""Sphinx reads the Markdown of this folder; `make docs` builds it, warnings being errors."""

from __future__ import annotations

from importlib.metadata import version as installed

project = "Remanence"
author = "the Remanence authors"
copyright = "the Remanence authors, Apache-2.0"
release = version = installed("remanence")

extensions = ["myst_parser"]
myst_enable_extensions = ["deflist", "smartquotes"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
# Links that leave this folder are checked by the tests; Sphinx knows only what it builds.
suppress_warnings = ["myst.xref_missing"]

html_theme = "alabaster"
html_title = "Remanence"
html_theme_options = {"description": "Does memory help on your sequence data?", "page_width": "1040px"}
html_show_sourcelink = False
