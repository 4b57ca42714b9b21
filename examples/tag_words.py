"""Find what a spoken request names: artists, playlists, cities. 给口语请求中的每个词加标签。

    python examples/tag_words.py

Words and their characters are read from both ends; a conditional random field keeps the labels of a span together.
"""

from __future__ import annotations

from pathlib import Path

import remanence

DATA = Path(__file__).parent / "data" / "snips-slots.jsonl"


def main(out: str = "runs/slots", **budget: int) -> None:
    run = remanence.fit(DATA, task="tag", split_column="split", out=out, **(budget or {"epochs": 20}))
    print(dict(run.evaluate().metrics))
    request = Path(out) / "request.txt"
    request.write_text("play some jazz by miles davis on spotify\n", encoding="utf-8")
    print(" ".join(f"{row['text']}/{row['labels']}" for row in run.predict(request)))


if __name__ == "__main__":
    main()
