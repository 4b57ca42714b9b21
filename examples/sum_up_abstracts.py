"""读论文摘要，写出标题。Read abstracts of Chinese papers, and write their titles.

    python examples/sum_up_abstracts.py

Most characters of a title stand in its abstract: the network may copy them. Four hundred abstracts are far too few to
sum up well, so the beginning of the abstract (`lead`) stands beside as what is to be beaten. Under two minutes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import remanence

DATA = Path(__file__).parent / "data" / "csl-titles.jsonl"


def main(out: str = "runs/titles", **budget: Any) -> None:
    run = remanence.fit(
        DATA, task="summarise", split_column="split", beside=(), threads=1, out=out, **(budget or {"epochs": 14})
    )
    print(dict(run.evaluate().metrics))
    for model in run.manifest["baselines"]:
        print(model["name"], model["test"])
    print(next(run.predict(text="提出了一种基于长短期记忆网络的短期电力负荷预测方法，实验表明该方法的预测精度较高。")))


if __name__ == "__main__":
    main()
