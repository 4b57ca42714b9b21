r"""IR → LaTeX: one aligned line an equation.

W_i @ x       W_{i}\, x_t              f * c      f_t \odot c_{t-1}
2 * a         2\, a_t                  a / b      \frac{a_t}{b_t}
n_tilde       \tilde{n}_t              alpha      \alpha
"""

from __future__ import annotations

from remanence.compiler.ir import (
    SCALAR,
    Given,
    Input,
    Node,
    Number,
    Operation,
    Previous,
    Product,
    Quantity,
    Step,
    Vector,
)

__all__ = ["latex", "symbol"]

_GREEK = {
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "kappa", "lambda", "mu", "nu"),
    *("xi", "pi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega"),
}
_ACCENTS = {"tilde": "tilde", "hat": "hat", "bar": "bar"}
_SUM, _PRODUCT, _UNARY, _ATOM = 1, 2, 3, 4


def latex(step: Step) -> str:
    r"""Write the equations of a step as an aligned block.

    Example:
        >>> from remanence.compiler.parse import parse
        >>> print(latex(parse("h = tanh(W @ x + U @ h + b)", ("h",), "h")))
        \begin{aligned}
        h_t &= \tanh\left(W\, x_t + U\, h_{t-1} + b\right)
        \end{aligned}
    """
    lines = [f"{symbol(e.name, 't')} &= {_write(e.value, step, 0)}" for e in step.equations]
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def symbol(name: str, time: str = "") -> str:
    r"""Write a name, with its time as a subscript.

    Example:
        >>> symbol("W_hn"), symbol("n_tilde", "t"), symbol("c", "t-1")
        ('W_{hn}', '\\tilde{n}_t', 'c_{t-1}')
    """
    head, *rest = name.split("_")
    letter = f"\\{head}" if head in _GREEK else head if len(head) == 1 else f"\\mathrm{{{head}}}"
    below = []
    for part in rest:
        if part in _ACCENTS:
            letter = f"\\{_ACCENTS[part]}{{{letter}}}"
        elif part:
            below.append(f"\\{part}" if part in _GREEK else part)
    subscript = ",".join([*below, time] if time else below)
    if not subscript:
        return letter
    return f"{letter}_{subscript}" if len(subscript) == 1 else f"{letter}_{{{subscript}}}"


def _write(node: Node, step: Step, above: int) -> str:
    match node:
        case Number(value):
            return f"{value:g}"
        case Input():
            return symbol("x", "t")
        case Previous(name):
            return symbol(name, "t-1")
        case Given(name) | Quantity(name):
            return symbol(name, "t")
        case Vector(name):
            return symbol(name)
        case Product(matrix, operand):
            text, level = f"{symbol(matrix)}\\, {_write(operand, step, _ATOM)}", _PRODUCT
        case Operation(op, operands):
            text, level = _operation(op, operands, step)
    return f"\\left({text}\\right)" if level < above else text


def _operation(op: str, operands: tuple[Node, ...], step: Step) -> tuple[str, int]:
    """The text of an operation, and how tightly it binds."""
    match op:
        case "add" | "sub":
            sign = "+" if op == "add" else "-"
            left, right = operands
            return f"{_write(left, step, _SUM)} {sign} {_write(right, step, _PRODUCT)}", _SUM
        case "neg":
            return f"-{_write(operands[0], step, _UNARY)}", _SUM
        case "mul":
            left, right = (_write(operand, step, _PRODUCT) for operand in operands)
            plain = SCALAR in map(step.size, operands)
            return f"{left}\\, {right}" if plain else f"{left} \\odot {right}", _PRODUCT
        case "div":
            return f"\\frac{{{_write(operands[0], step, 0)}}}{{{_write(operands[1], step, 0)}}}", _ATOM
        case "sqrt":
            return f"\\sqrt{{{_write(operands[0], step, 0)}}}", _ATOM
        case "abs":
            return f"\\left|{_write(operands[0], step, 0)}\\right|", _ATOM
        case "norm":
            return f"\\left\\lVert {_write(operands[0], step, 0)} \\right\\rVert", _ATOM
    names = {"sigmoid": "\\sigma", "tanh": "\\tanh", "exp": "\\exp", "log": "\\log", "max": "\\max", "min": "\\min"}
    name = names.get(op, f"\\operatorname{{{op}}}")
    return f"{name}\\left({', '.join(_write(operand, step, 0) for operand in operands)}\\right)", _ATOM
