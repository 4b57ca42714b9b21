"""Text → IR: what is read, how sizes are named, and how each malformed text is told."""

from __future__ import annotations

import pytest

from remanence.cells import CELLS
from remanence.compiler.ir import Number, Operation, Previous, Product, Quantity, Span, Vector, render, verify, walk
from remanence.compiler.parse import parse
from remanence.compiler.place import UNSHOWN
from remanence.errors import CellError

LEAD = "i = sigmoid(W_i @ x + b_i)\n"

# text, state, output, what the message says, the line and the text above the caret
MALFORMED = [
    ("h = tnh(W @ x)", "unknown function 'tnh'", "tnh"),
    ("h = torch.tanh(W @ x)", "unknown function 'torch.tanh'", "torch.tanh"),
    ("h = (tanh)(W @ x)()", "unknown function", "(tanh)(W @ x)"),
    ("h = W @ x ** 2", "unknown operator or form 'x \\*\\* 2'", "x ** 2"),
    ("h = W @ x if x else h", "unknown operator", "W @ x if x else h"),
    ("h = W @ x[0]", "unknown operator or form", "x[0]"),
    ("h = 'W' * h", "unknown operator or form", "'W'"),
    ("h = True * h", "unknown operator or form", "True"),
    ("h = 1e99 * h", "too large", "1e99"),
    ("h = +h", "unknown operator", "+h"),
    ("h = ~h", "unknown operator", "~h"),
    ("h = lambda: x", "unknown operator", "lambda: x"),
    ("h = [h for h in x]", "unknown operator", "[h for h in x]"),
    ("h = (y := h)", "unknown operator", "y := h"),
    ("h = tanh(W @ x", "cannot be read", "("),
    ("h = tanh W @ x", "cannot be read", "W"),
    ("h == tanh(W @ x)\nh = h", "not an equation", "h == tanh(W @ x)"),
    ("h += W @ x\nh = h", "not an equation", "h += W @ x"),
    ("import os\nh = W @ x", "not an equation", "import os"),
    ("h, c = W @ x, W @ x\nh = W @ x", "not one name", "h, c"),
    ("a = h = W @ x", "not one name", "a"),
    ("x = W @ x\nh = W @ x", "'x' is the input", "x"),
    ("tanh = W @ x\nh = W @ x", "'tanh' is a function", "tanh"),
    ("h = tanh", "'tanh' is a function", "tanh"),
    ("h = tanh(W @ x, h)", "takes 1 argument", "tanh(W @ x, h)"),
    ("h = max(h)", "takes 2 argument", "max(h)"),
    ("h = tanh(a=h)", "plain arguments", "tanh(a=h)"),
    ("h = tanh(*h)", "plain arguments", "tanh(*h)"),
    ("h = W @ x\nW = h", "'W' is used before line 2", "W"),
    ("a = a + h\nh = a", "before its own line \\(a cycle\\)", "a"),
    ("h = a * h\na = W @ x", "'a' is used before line 2", "a"),
    (LEAD + "h = i * h\ni = W @ x", "'i' is assigned twice, first on line 1", "i"),
    ("h = W @ x\nh = U @ h", "'h' is assigned twice", "h"),
    ("h = h @ x", "left side of @ is not a parameter", "h"),
    ("h = (W @ U) @ x", "left side of @ is not a parameter", "(W @ U)"),
    ("h = f * W @ x", "left side of @ is not a parameter", "f * W"),
    ("h = 2 @ x", "left side of @ is not a parameter", "2"),
    ("h = W @ mean(x)", "right side of @ is a single number", "W @ mean(x)"),
    ("h = mean(x) * 2", "state, but this is a single number", "h = mean(x) * 2"),
    ("h = mean(3) * h", "'mean' of a single number", "mean(3)"),
    ("h = x + h", "sizes clash", "x + h"),
    ("h = W @ x + W @ h", "sizes clash", "W @ h"),
    ("h = W @ x + W * h", "matrix in one place and a vector in another", "W"),
    ("h = W @ x * (1 / 0)", "not a finite number", "1 / 0"),
    ("h = W @ x * log(0)", "not a finite number", "log(0)"),
    ("h = W @ x * exp(1000)", "not a finite number", "exp(1000)"),
    ("h = W @ x + β", "'β' is not ASCII", "β"),
    ("h = W @ x （1）", "'（' is not ASCII", "（"),
    ("h = W @ x\x00", "not ASCII", "\x00"),
    ("h = " + "(" * 300 + "x" + ")" * 300, "cannot be read", "("),
    ("    h = W @ x\n  c = h", "cannot be read", "  c = h"),
]


@pytest.mark.parametrize(("text", "message", "at"), MALFORMED, ids=[text[:30] for text, _, _ in MALFORMED])
def test_parse_malformed_text_shows_line_and_caret(text: str, message: str, at: str):
    with pytest.raises(CellError, match=message) as caught:
        parse(text, ("h",), "h")
    lines = caught.value.message.rstrip("\n").split("\n")
    assert lines[0].startswith("line ")
    number = int(lines[0][5:].split(":")[0])
    shown = "".join(
        letter if letter.isprintable() else UNSHOWN for letter in text.replace("\t", " ").split("\n")[number - 1]
    )
    assert lines[1].strip() == shown.strip()
    assert set(lines[2].strip()) == {"^"}
    marked = lines[1][lines[2].index("^") : lines[2].rindex("^") + 1]
    assert at.startswith(marked) or marked in at or at in marked or marked == UNSHOWN


@pytest.mark.parametrize(
    ("text", "state", "output", "message"),
    [
        ("", ("h",), "h", "empty"),
        ("  \n # nothing\n", ("h",), "h", "empty"),
        ("c = W @ x", ("h", "c"), "h", "state 'h' is never assigned"),
        ("h = W @ x", (), "h", "no state"),
        ("h = W @ x", ("h", "h"), "h", "twice"),
        ("h = W @ x", ("h",), "c", "output 'c' is not a state"),
        ("a = W @ x\nh = a", ("h",), "a", "output 'a' is not a state"),
        ("x = W @ x", ("x",), "x", "'x' cannot name a state"),
        ("ħ = W @ x", ("ħ",), "ħ", "cannot name a state"),
        ("a = W @ p\nb = V @ q\nc = U @ r\nh = Z @ x", ("h",), "h", "not tied"),
        ("h = " + "+".join(["h"] * 20000), ("h",), "h", "characters long"),
    ],
)
def test_parse_malformed_whole_is_refused(text: str, state: tuple, output: str, message: str):
    with pytest.raises(CellError, match=message):
        parse(text, state, output)


@pytest.mark.parametrize("terms", [200, 900, 5000])
def test_parse_deep_sum_is_refused(terms: int):
    with pytest.raises(CellError, match="nested too deeply"):
        parse("h = " + "+".join(["h"] * terms), ("h",), "h")


def test_parse_long_sum_is_read():
    assert parse("h = " + "+".join(["h"] * 100), ("h",), "h").quantities == ("h",)


def test_parse_state_means_previous_step_until_assigned():
    step = parse("c = f * c + b\nh = tanh(c) + h", ("h", "c"), "h")
    assert step.equation("c").value == Operation("add", (Operation("mul", (Vector("f"), Previous("c"))), Vector("b")))
    assert step.equation("h").value == Operation("add", (Operation("tanh", (Quantity("c"),)), Previous("h")))


def test_parse_spans_point_into_the_text():
    step = parse("\n    a = W @ x  # 输入\n    h = tanh(a) - 0.5\n", ("h",), "h")
    value = step.equation("h").value
    assert isinstance(value, Operation)
    assert value.operands[1] == Number(0.5)
    assert value.operands[1].span == Span(2, 14, 17)
    assert step.equation("a").value.span == Span(1, 4, 9)


def test_parse_names_three_sizes():
    step = CELLS["lstmp"].step
    assert step.size_names == ("input", "hidden", "proj")
    axes = {parameter.name: parameter.axes for parameter in step.parameters}
    assert (axes["V"], axes["U_i"], axes["W_i"]) == (("proj", "hidden"), ("hidden", "proj"), ("hidden", "input"))


def test_parse_given_sizes_name_what_cannot_be_told():
    step = parse("a = V @ x\nh = W @ a", ("h",), "h", sizes={"a": "hidden", "h": "proj"})
    assert step.sizes == {"a": "hidden", "h": "proj"}
    with pytest.raises(CellError, match="no line assigns"):
        parse("h = W @ x", ("h",), "h", sizes={"q": "hidden"})


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())
def test_render_parses_back_to_the_same_ir(cell):
    text = "\n".join(f"{e.name} = {render(e.value)}" for e in cell.step.equations)
    again = parse(text, cell.state, cell.output, given=cell.given)
    verify(again)
    assert again == cell.step


def test_render_keeps_the_shape_of_nested_operators():
    text = "h = -(a - (b - c)) * (d / (e * h)) - -(W @ (a * h)) + max(h, 0.25) / (2 - h)"
    value = parse(text, ("h",), "h").equation("h").value
    assert parse(f"h = {render(value)}", ("h",), "h").equation("h").value == value
    assert any(isinstance(node, Product) for node in walk(value))
