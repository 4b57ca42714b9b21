"""Pages that people open: one self-contained HTML file for a run, a comparison, an example."""

from __future__ import annotations

from remanence.report.comparison_page import comparison_page, write_comparison_report
from remanence.report.explanation_page import (
    choose_example,
    explain_run,
    explained_answers,
    explanation_page,
    write_explanation,
)
from remanence.report.page import Details, Figure, Page, Section, Table, Text, page_html, write_page
from remanence.report.pictures import save_figures
from remanence.report.run_page import run_page, write_run_report

__all__ = [
    "Details", "Figure", "Page", "Section", "Table", "Text", "choose_example", "comparison_page", "explain_run",
    "explained_answers", "explanation_page", "page_html", "run_page", "save_figures", "write_comparison_report",
    "write_explanation", "write_page", "write_run_report",
]  # fmt: skip
