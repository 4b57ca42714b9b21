"""Forecast the next week's temperatures of Seattle, and ask what a simple model would have done.

python examples/forecast_csv.py
"""

from __future__ import annotations

from pathlib import Path

import remanence

DATA = Path(__file__).parent / "data" / "seattle-weather.csv"


def main(out: str = "runs/seattle-lstm", **budget: int) -> None:
    run = remanence.fit(
        DATA,
        task="forecast",
        time="date",
        target="temp_max",
        observed=["temp_min", "precipitation", "wind"],
        horizon=7,
        context=28,
        quantiles=[0.1, 0.5, 0.9],
        cell="lstm",
        out=out,
        **budget,
    )
    print(run.evaluate().metrics)
    for row in run.predict(DATA):
        print(row)


if __name__ == "__main__":
    main()
