"""Write down digits that are spoken one after the other. 听写连续说出的数字。

    python examples/transcribe_digits.py

A row of the table names several recordings, which are read as one sound; the text is learnt without being told when
each digit is said.
"""

from __future__ import annotations

from pathlib import Path

import remanence

DATA = Path(__file__).parent / "data" / "spoken-digits.csv"


def main(out: str = "runs/digits", epochs: int = 25) -> None:
    run = remanence.fit(
        DATA, task="transcribe", split_column="split", answer="text", features="mfcc", deltas=1, centre=True,
        hidden=64, layers=1, learning_rate=5e-3, epochs=epochs, out=out,
    )  # fmt: skip
    print(dict(run.evaluate().metrics))
    row = next(iter(run.predict(DATA, alignment=True)))
    print(row["text"], row["alignment"])


if __name__ == "__main__":
    main()
