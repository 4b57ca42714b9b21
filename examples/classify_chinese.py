"""判断一联唐诗的上下句是否被调换。Is a Tang couplet in its own order, or are its lines swapped?

    python examples/classify_chinese.py

Both orders hold the same characters; a network that reads from left to right tells them apart better than a count.
"""

from __future__ import annotations

from pathlib import Path

import remanence

DATA = Path(__file__).parent / "data" / "tang-couplets.csv"


def main(out: str = "runs/couplets-gru", **budget: int) -> None:
    run = remanence.fit(
        DATA,
        task="classify",
        input="text",
        label="order",
        group="poem",
        cell="gru",
        pool="last",
        bidirectional=False,
        embedding=32,
        dropout=0.2,
        out=out,
        **budget,
    )
    print(dict(run.evaluate().metrics))


if __name__ == "__main__":
    main()
