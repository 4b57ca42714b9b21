"""A step → the same step under masks that come from outside. No torch here.

    drop_candidates   what is written into a state is dropped          Semeniuta, Severyn & Barth 2016, arXiv:1603.05118
    drop_products     what a matrix reads of a state is dropped        Gal & Ghahramani 2016, arXiv:1512.05287
    zone_out          a state keeps its last value instead of the new  Krueger et al. 2017, arXiv:1606.01305

Only equations are rewritten: a mask is a given input like any other, so every emitter computes it with no code of its
own. Which numbers stand in a mask, and how they are drawn, is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from remanence.compiler.ir import (
    Equation,
    Given,
    Node,
    Number,
    Operation,
    Previous,
    Product,
    Quantity,
    Step,
    render,
    verify,
)

__all__ = ["Masked", "drop_candidates", "drop_products", "zone_out"]


@dataclass(frozen=True)
class Masked:
    """A rewritten step.

    Args:
        step: the new equations, and their text.
        masks: what is masked (a quantity or a state) → the given input that masks it.
    """

    step: Step
    masks: Mapping[str, str]


def drop_candidates(step: Step, quantities: tuple[str, ...]) -> Masked:
    """Multiply quantities by a mask wherever a later line reads them.

    Example:
        >>> from remanence.compiler.parse import parse
        >>> step = parse("g = tanh(W @ x + U @ h)\\nh = 0.9 * h + 0.1 * g", ("h",), "h")
        >>> print(drop_candidates(step, ("g",)).step.text)
        g = tanh(W @ x + U @ h)
        h = 0.9 * h + 0.1 * (mask_g * g)
    """
    masks = {name: _free(step, f"mask_{name}") for name in quantities}

    def masked(node: Node) -> Node:
        if isinstance(node, Quantity) and node.name in masks:
            return Operation("mul", (Given(masks[node.name]), node))
        return node

    sizes = {mask: step.sizes[name] for name, mask in masks.items()}
    equations = tuple(replace(equation, value=_rewritten(equation.value, masked)) for equation in step.equations)
    return Masked(_remade(step, equations, sizes), masks)


def drop_products(step: Step) -> Masked:
    """Multiply what a matrix reads of a state's last value by a mask, one for each state.

    A projection of this step's state, as in an LSTMP, reads no last value and stays as it is.

    Example:
        >>> from remanence.compiler.parse import parse
        >>> step = parse("r = sigmoid(W @ x + U @ h)\\nh = tanh(V @ x + R @ (r * h))", ("h",), "h")
        >>> print(drop_products(step).step.text)
        r = sigmoid(W @ x + U @ (mask_h * h))
        h = tanh(V @ x + R @ (mask_h * (r * h)))
    """
    values = {equation.name: equation.value for equation in step.equations if equation.name not in step.state}
    masks: dict[str, str] = {}

    def state_of(node: Node) -> str:
        """The state whose last value a node reads without a product between, or nothing."""
        match node:
            case Previous(name):
                return name
            case Quantity(name) if name in values:
                return state_of(values[name])
            case Operation(_, operands):
                return next(filter(None, map(state_of, operands)), "")
        return ""

    def masked(node: Node) -> Node:
        if isinstance(node, Product) and (state := state_of(node.operand)):
            mask = masks.setdefault(state, _free(step, f"mask_{state}"))
            return replace(node, operand=Operation("mul", (Given(mask), node.operand)))
        return node

    equations = tuple(replace(equation, value=_rewritten(equation.value, masked)) for equation in step.equations)
    return Masked(_remade(step, equations, {mask: step.sizes[state] for state, mask in masks.items()}), masks)


def zone_out(step: Step, keep: Mapping[str, float | None]) -> Masked:
    """Let states keep their last value where a mask says so; what the other lines read of them is the new value.

    Args:
        step: the equations.
        keep: state → the share that it keeps of its last value; None where a mask of zeros and ones says so.

    Example:
        >>> from remanence.compiler.parse import parse
        >>> print(zone_out(parse("h = tanh(W @ x + U @ h)", ("h",), "h"), {"h": None}).step.text)
        h_new = tanh(W @ x + U @ h)
        h = keep_h * h + (1 - keep_h) * h_new
    """
    fresh = {state: _free(step, f"{state}_new") for state in keep}
    masks = {state: _free(step, f"keep_{state}") for state, share in keep.items() if share is None}

    def renamed(node: Node) -> Node:
        return Quantity(fresh[node.name], node.span) if isinstance(node, Quantity) and node.name in fresh else node

    equations = [
        Equation(fresh.get(equation.name, equation.name), _rewritten(equation.value, renamed), equation.span)
        for equation in step.equations
    ]
    for state, share in keep.items():
        kept: Node = Given(masks[state]) if share is None else Number(share)
        given_up = Operation("sub", (Number(1.0), kept)) if share is None else Number(1 - share)
        old = Operation("mul", (kept, Previous(state)))
        equations.append(Equation(state, Operation("add", (old, Operation("mul", (given_up, Quantity(fresh[state])))))))
    sizes = {fresh[state]: step.sizes[state] for state in keep}
    whole = replace(step, sizes={**step.sizes, **sizes})
    return Masked(_remade(whole, tuple(equations), {mask: step.sizes[state] for state, mask in masks.items()}), masks)


def _rewritten(node: Node, change: Callable[[Node], Node]) -> Node:
    """A node with `change` applied to it and to all below, those first."""
    match node:
        case Product(_, operand):
            node = replace(node, operand=_rewritten(operand, change))
        case Operation(_, operands):
            node = replace(node, operands=tuple(_rewritten(operand, change) for operand in operands))
    return change(node)


def _remade(step: Step, equations: tuple[Equation, ...], given: Mapping[str, str]) -> Step:
    text = "\n".join(f"{equation.name} = {render(equation.value)}" for equation in equations)
    made = replace(step, equations=equations, given={**step.given, **given}, text=text)
    verify(made)
    return made


def _free(step: Step, name: str) -> str:
    """The name, with underscores after it where it is taken."""
    taken = {*step.quantities, *step.state, *step.given, *(parameter.name for parameter in step.parameters)}
    while name in taken:
        name += "_"
    return name
