"""读唐诗，续写唐诗。Read poems of the Tang, and go on with a line.

    python examples/write_poems.py

A network reads the poems character by character and learns what comes next; then it writes. Under two minutes.
"""

from __future__ import annotations

from pathlib import Path

import remanence

DATA = Path(__file__).parent / "data" / "tang-poems.txt"


def main(out: str = "runs/poems", length: int = 40, **budget: int) -> None:
    run = remanence.fit(DATA, task="generate", document="line", split="0.8,0.1,0.1", beside=(), out=out, **budget)
    print(dict(run.evaluate().metrics))
    for line in ("白日依山", "春眠不", "床前明月光，"):
        for text in run.generate(line, length=length, temperature=0.7, samples=2):
            print(line + text)


if __name__ == "__main__":
    main()
