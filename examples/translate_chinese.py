"""把中文短句译成英文，看每个词注意了原文的哪里。Translate short Chinese sentences; see where each word looked.

    python examples/translate_chinese.py

A bidirectional network reads a sentence character by character; a second one writes the English words and attends to
what was read. Pairs that share their English side stay on one side of the split. Under two minutes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import remanence
from remanence.tasks.alignment import Alignment

DATA = Path(__file__).parent / "data" / "tatoeba-zh-en.tsv"


def main(out: str = "runs/zh-en", **budget: Any) -> None:
    run = remanence.fit(
        DATA, task="translate", input="chinese", answer="english", group="english", split="0.9,0.05,0.05", beside=(),
        threads=1, out=out, **(budget or {"epochs": 14}),
    )  # fmt: skip
    print(dict(run.evaluate().metrics))
    for sentence in ("我明天去北京。", "他不喜欢喝咖啡。", "你今天忙吗？"):
        row = next(run.predict(text=sentence, alignment=True))
        print(f"{sentence} → {row['english']}")
        print(*Alignment.from_json(row["alignment"]).lines(), sep="\n")


if __name__ == "__main__":
    main()
