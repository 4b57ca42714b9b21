"""Cut the small data sets of `examples/data` from their originals; a rerun writes the same bytes.

    python examples/make_data.py FOLDER-OF-ORIGINALS

The folder holds the originals under the names used below; where they come from stands in `examples/data/README.md`.
"""

from __future__ import annotations

import csv
import io
import json
import lzma
import random
import re
import sys
import tarfile
import wave
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent / "data"


def main(originals: Path) -> None:
    made = (
        seattle_weather, beijing_pm25, japanese_vowels, snips_intents, snips_slots, tang_couplets, gaze_windows,
        gaze_samples, tang_poems, shakespeare, tatoeba_pairs, csl_titles, spoken_digits, digits_when,
    )  # fmt: skip
    for make in made:
        path = make(originals)
        print(f"{path.name:28} {path.stat().st_size:>8,} bytes")


def seattle_weather(originals: Path) -> Path:
    """Copy it whole: four years of days, the dates written the ISO way."""
    text = (originals / "forecast/seattle-weather.csv").read_text()
    return write("seattle-weather.csv", text.replace("/", "-"))


def beijing_pm25(originals: Path) -> Path:
    """Keep the year 2014, hour by hour; one column of times; an empty cell where the sensor gave nothing."""
    with lzma.open(originals / "forecast/beijing-pm25.csv.xz", "rt") as file:
        year = [row for row in csv.DictReader(file) if row["year"] == "2014"]
    header = ("time", "pm25", "dew_point", "temperature", "pressure", "wind_speed")
    rows = (
        (
            f"{row['year']}-{int(row['month']):02}-{int(row['day']):02} {int(row['hour']):02}:00",
            row["pm2.5"].replace("NA", ""),
            *(row[name] for name in ("DEWP", "TEMP", "PRES", "Iws")),
        )
        for row in year
    )
    return write_table("beijing-pm25-2014.csv", header, rows)


def japanese_vowels(originals: Path) -> Path:
    """Keep every sequence of the given split, rounded to three decimals; only the first comment lines."""
    path = HERE
    for part in ("TRAIN", "TEST"):
        text = member(originals / "classify/uea-ucr.tar.xz", f"aeon/JapaneseVowels/JapaneseVowels_{part}.ts")
        lines = [line for line in text.splitlines() if line]
        head = [line for line in lines if line.startswith(("@", "#A UCI", "#Paper"))]
        body = [line for line in lines if not line.startswith(("@", "#"))]
        rounded = [re.sub(r"-?\d+\.\d+", lambda found: f"{float(found[0]):.3f}".rstrip("0"), line) for line in body]
        path = write(f"JapaneseVowels_{part}.ts", "\n".join(head + rounded) + "\n")
    return path


def snips_intents(originals: Path) -> Path:
    """Draw 1,200 of the training utterances; keep 300 of each given validation and test part."""
    sizes = {"train": 1200, "valid": 300, "test": 300}
    lines = []
    for part, size in sizes.items():
        texts, labels = (
            member(originals / "classify/snips.tar.xz", f"data/snips/{part}/{name}").splitlines()
            for name in ("seq.in", "label")
        )
        pairs = sorted(random.Random(part).sample(range(len(texts)), size))
        lines += [json.dumps({"text": texts[i].strip(), "intent": labels[i], "split": part}) for i in pairs]
    return write("snips-intents.jsonl", "\n".join(lines) + "\n")


def snips_slots(originals: Path) -> Path:
    """Draw 1,000 of the training utterances with a label a word; keep 200 of each given validation and test part."""
    sizes = {"train": 1000, "valid": 200, "test": 200}
    lines = []
    for part, size in sizes.items():
        texts, labels = (
            member(originals / "classify/snips.tar.xz", f"data/snips/{part}/{name}").splitlines()
            for name in ("seq.in", "seq.out")
        )
        for i in sorted(random.Random(part).sample(range(len(texts)), size)):
            row = {"tokens": texts[i].split(), "labels": labels[i].split(), "split": part}
            lines.append(json.dumps(row, separators=(",", ":")))
    return write("snips-slots.jsonl", "\n".join(lines) + "\n")


def tang_couplets(originals: Path) -> Path:
    """Draw couplets of five characters a line; half of them stand with their two lines swapped."""
    with lzma.open(originals / "generate/tang-poems.jsonl.xz", "rt", encoding="utf-8") as file:
        poems = list(map(json.loads, file))
    couplets: dict[str, tuple[int, str, str]] = {}
    for number, poem in enumerate(poems):
        for paragraph in poem["paragraphs"]:
            found = re.fullmatch(r"([\u4e00-\u9fff]{5})，([\u4e00-\u9fff]{5})。", paragraph)
            if found:
                # A couplet that two collections hold is kept once: it must not fall on both sides of a split.
                couplets.setdefault(paragraph, (number, found[1], found[2]))
    draw = random.Random("couplets")
    rows = []
    for number, first, second in sorted(draw.sample(list(couplets.values()), 8000)):
        swapped = draw.random() < 0.5
        rows.append((number, f"{second}，{first}" if swapped else f"{first}，{second}", "倒" if swapped else "正"))
    return write_table("tang-couplets.csv", ("poem", "text", "order"), rows)


def tang_poems(originals: Path) -> Path:
    """Draw poems of four lines of five characters, a poem a line; what two collections hold is kept once."""
    with lzma.open(originals / "generate/tang-poems.jsonl.xz", "rt", encoding="utf-8") as file:
        poems = ["".join(json.loads(line)["paragraphs"]) for line in file]
    form = re.compile(r"([\u4e00-\u9fff]{5}，[\u4e00-\u9fff]{5}。){2}")
    fitting = list(dict.fromkeys(poem for poem in poems if form.fullmatch(poem)))
    chosen = sorted(random.Random("poems").sample(range(len(fitting)), min(3600, len(fitting))))
    return write("tang-poems.txt", "\n".join(fitting[place] for place in chosen) + "\n")


def shakespeare(originals: Path) -> Path:
    """Keep the first 300,000 characters, cut at the end of a speech."""
    with lzma.open(originals / "generate/tinyshakespeare.txt.xz", "rt", encoding="utf-8") as file:
        text = file.read(300_000)
    return write("shakespeare.txt", text[: text.rindex("\n\n") + 1])


def tatoeba_pairs(originals: Path) -> Path:
    """Draw pairs of a short Chinese sentence and an English one of words that stand in at least eight sentences."""
    with lzma.open(originals / "translate/tatoeba-cmn-eng.txt.xz", "rt", encoding="utf-8") as file:
        # Two lines lack a tab between the languages.
        rows = [cells for line in file if len(cells := line.rstrip("\n").split("\t")) == 3]
    words = [set(re.findall(r"[a-z']+", english.lower())) for english, _, _ in rows]
    counts = Counter(word for each in words for word in each)
    fitting = [
        place for place, (_, chinese, _) in enumerate(rows)
        if len(chinese) <= 10 and all(counts[word] >= 8 for word in words[place])
    ]  # fmt: skip
    chosen = sorted(random.Random("tatoeba").sample(fitting, 4000))
    lines = ["english\tchinese\tattribution\n"]
    for english, chinese, attribution in (rows[place] for place in chosen):
        lines.append(f"{english}\t{chinese}\t{attribution.partition('Attribution: ')[2]}\n")
    return write("tatoeba-zh-en.tsv", "".join(lines))


def csl_titles(originals: Path) -> Path:
    """Keep abstracts of up to 200 characters with their titles: 400 to train, 50 to validate, 60 to test."""
    parts = {"train": ("dev", 0, 400), "valid": ("dev", 400, 450), "test": ("test", 0, 60)}
    lines = []
    for part, (source, start, stop) in parts.items():
        text = member(originals / "summarize/csl-title.tar.xz", f"./benchmark/ts/{source}.tsv")
        rows = [line.split("\t")[1:] for line in text.split("\n") if line.count("\t") == 2]
        short = [(abstract, title) for abstract, title in rows if len(abstract) <= 200][start:stop]
        lines += [
            json.dumps({"abstract": abstract, "title": title, "split": part}, ensure_ascii=False)
            for abstract, title in short
        ]
    return write("csl-titles.jsonl", "\n".join(lines) + "\n")


def gaze_windows(originals: Path) -> Path:
    """Cut half-second windows at 100 Hz from the first 12 seconds of six people; is there a saccade in it?"""
    rows = []
    for person in range(1, 7):
        samples = np.load(originals / f"gaze/lookAtPoint_EL/lookAtPoint_EL_S{person}.npy", allow_pickle=False)
        for window in range(24):
            part = samples[window * 500 : (window + 1) * 500]
            if not set(np.unique(part["evt"])) <= {1, 2, 3} or not part["status"].all():
                continue
            label = "saccade" if (part["evt"] == 2).any() else "fixation"
            for step, sample in enumerate(part[::10]):
                x, y = f"{sample['x']:.2f}", f"{sample['y']:.2f}"
                rows.append((f"S{person}", f"S{person}-{window:02}", step, x, y, label))
    return write_table("gaze-windows.csv", ("person", "window", "step", "x_degrees", "y_degrees", "label"), rows)


def gaze_samples(originals: Path) -> Path:
    """Keep the first five seconds at 200 Hz of the longest stretch of six people without blink or unknown label."""
    names = {1: "fixation", 2: "saccade", 3: "oscillation"}
    rows = []
    for person in range(1, 7):
        samples = np.load(originals / f"gaze/lookAtPoint_EL/lookAtPoint_EL_S{person}.npy", allow_pickle=False)
        usual = np.isin(samples["evt"], list(names)) & samples["status"]
        ends = np.flatnonzero(np.diff(np.concatenate([[0], usual, [0]])))
        longest = max(zip(ends[::2], ends[1::2], strict=True), key=lambda run: run[1] - run[0])
        part = samples[longest[0] : longest[1]][:5000:5]
        for step, sample in enumerate(part):
            place = (f"{sample['x']:.2f}", f"{sample['y']:.2f}", names[int(sample["evt"])])
            rows.append((f"S{person}", f"{step / 200:g}", *place))
    return write_table("gaze-samples.csv", ("recording", "time", "x", "y", "event"), rows)


def spoken_digits(originals: Path) -> Path:
    """Copy six takes of ten digits by two speakers; draw which are joined: take 0 is for the test, 1 for validation."""
    folder = HERE / "digits"
    folder.mkdir(exist_ok=True)
    with tarfile.open(originals / "transcribe/fsdd.tar.xz") as archive:
        for entry in archive.getmembers():
            found = re.fullmatch(r"(?:.*/)?(\d_(?:jackson|theo)_[0-5]\.wav)", entry.name)
            inside = archive.extractfile(entry) if found else None
            if found and inside:
                (folder / found[1]).write_bytes(inside.read())
    draw, rows = random.Random(20000228), []
    for speaker in ("jackson", "theo"):
        for part, takes, count in (("train", "2345", 200), ("valid", "1", 30), ("test", "0", 30)):
            for _ in range(count):
                digits = [draw.choice("0123456789") for _ in range(draw.randint(2, 5))]
                files = ";".join(f"digits/{digit}_{speaker}_{draw.choice(takes)}.wav" for digit in digits)
                rows.append((files, " ".join(digits), speaker, part))
    return write_table("spoken-digits.csv", ("file", "text", "speaker", "split"), rows)


def digits_when(_: Path) -> Path:
    """Say of every third joined sound of `spoken_digits` which digit is spoken from when to when."""
    rows = []
    with (HERE / "spoken-digits.csv").open(encoding="utf-8") as file:
        for spoken in list(csv.DictReader(file))[::3]:
            end = 0.0
            for name, digit in zip(spoken["file"].split(";"), spoken["text"].split(), strict=True):
                with wave.open(str(HERE / name)) as sound:
                    start, end = end, end + sound.getnframes() / sound.getframerate()
                rows.append((spoken["file"], round(start, 3), round(end, 3), digit, spoken["split"]))
    return write_table("digits-when.csv", ("file", "start", "end", "digit", "split"), rows)


def member(archive: Path, name: str) -> str:
    with tarfile.open(archive) as file:
        inside = file.extractfile(name)
        if inside is None:
            raise SystemExit(f"{archive}: no file {name}")
        return inside.read().decode("utf-8")


def write_table(name: str, header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> Path:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(header)
    table.writerows(rows)
    return write(name, text.getvalue())


def write(name: str, text: str) -> Path:
    path = HERE / name
    path.write_bytes(text.encode("utf-8"))
    return path


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
