"""A cell in words: its equations, states, parameters, source and what it claims."""

from __future__ import annotations

import textwrap

from remanence.cells.cell import Cell

__all__ = ["describe"]


def describe(cell: Cell, **sizes: int) -> str:
    """Describe a cell; with sizes such as `input=3, hidden=8` shapes are numbers, and parameters are counted.

    Example:
        >>> from remanence.cells import CELLS
        >>> print(describe(CELLS["rnn"], input=3, hidden=5))
        rnn · Elman RNN (tanh)
        <BLANKLINE>
            h = tanh(W @ x + U @ h + b)
        <BLANKLINE>
        state       h [5], output h
        parameters  W [5, 3], U [5, 5], b [5]: 45 numbers
        properties  bounded (|h| ≤ 1); torch kernel: RNN_TANH
        source      Elman 1990, Finding structure in time, doi:10.1207/s15516709cog1402_1; tanh in place of the
                    logistic function
    """

    def size(name: str) -> str:
        return str(sizes.get(name, name))

    states = ", ".join(f"{name} [{size(cell.step.sizes[name])}]" for name in cell.state)
    weights = ", ".join(f"{p.name} [{', '.join(map(size, p.axes))}]" for p in cell.step.parameters)
    if set(cell.step.size_names) <= set(sizes):
        weights += f": {cell.parameter_count(**sizes)} numbers"
    rows = {
        "state": f"{states}, output {cell.output}",
        "parameters": weights,
        "properties": "; ".join(_properties(cell)) or "none declared",
        "source": cell.source,
    }
    lines = [f"{cell.name} · {cell.title}" if cell.title else cell.name, ""]
    lines += [f"    {line.strip()}" for line in cell.equations.strip().splitlines()]
    lines.append("")
    for name, text in rows.items():
        lines.append(textwrap.fill(f"{name:<12}{text}", 110, subsequent_indent=" " * 12, break_long_words=False))
    return "\n".join(lines)


def _properties(cell: Cell) -> list[str]:
    found = [f"additive memory: {s} = ({a}) ⊙ {s} + {b}" for s, (a, b) in cell.additive_memory.items()]
    if cell.bounded:
        found.append(f"bounded (|{cell.output}| ≤ 1)")
    if cell.forget_bias:
        found.append(f"forget bias: {', '.join(cell.forget_bias)}")
    if cell.torch_twin is not None:
        found.append(f"torch kernel: {cell.torch_twin.kind}")
    return found
