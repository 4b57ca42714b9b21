"""What `prepare` noticed about the data, in both languages: its notes are English, here stands the Chinese of each.

A line pairs a note with its translation; names in braces stand for what differs from note to note. A user's own names
are shown as they are; words of this program (a frequency, a kind of token, a part) are translated, too.
"""

from __future__ import annotations

import re
from functools import cache

from remanence.explain.words import Words

__all__ = ["note_words"]

_NOTES = (
    ("task: {task} (--task)", "任务：{task}（--task）"),
    ("time: '{column}' (--time)", "时间：“{column}”（--time）"),
    ("time: no such column found, rows are taken in order (--time)", "时间：没有这样的列，按行的顺序读（--time）"),
    ("time within a sequence: '{column}' (--time)", "序列内的时间：“{column}”（--time）"),
    (
        "times of '{column}' have several offsets from UTC: they are told in UTC",
        "“{column}”的时间与 UTC 的差不一：一律写成 UTC 时间",
    ),
    ("series: '{column}' (--series)", "序列名：“{column}”（--series）"),
    ("target: '{column}' (--target)", "预测目标：“{column}”（--target）"),
    ("number columns not used: {columns} (--observed, --known)", "没有用到的数字列：{columns}（--observed、--known）"),
    (
        "column '{column}': numbers with thousands separators, such as '{cell}', are read as words: remove the commas",
        "列“{column}”的数字带千位分隔符，如“{cell}”，只能当作文字读：请去掉逗号",
    ),
    ("label: '{column}' (--label)", "标签：“{column}”（--label）"),
    ("input: text '{column}' (--input)", "输入：文本“{column}”（--input）"),
    ("input: {columns} (--input)", "输入：{columns}（--input）"),
    ("input: the motion alone (--input)", "输入：只有运动特征（--input）"),
    ("sequence: '{column}' (--sequence)", "序列：“{column}”（--sequence）"),
    (
        "split: {parts} as the file gives them (--split-column)",
        "划分：按文件自带的 {parts}（--split-column）",
    ),
    ("input: sounds '{column}' (--input)", "输入：声音“{column}”（--input）"),
    ("sounds: {width} numbers a frame, as the files have them", "声音：文件里现成的特征，每帧 {width} 个数"),
    ("input: videos '{column}' (--input)", "输入：视频“{column}”（--input）"),
    (
        "videos: {rate} frames a second, {height} × {width}, {colour} (--frame-rate, --frame-size, --colour)",
        "视频：每秒 {rate} 帧，{height} × {width}，{colour}（--frame-rate、--frame-size、--colour）",
    ),
    (
        "{cells}: not started by {start}, which needs other equations (--initialise)",
        "{cells}：没有按 {start} 初始化，这些方程不适用（--initialise）",
    ),
    ("test file: {file}, found beside {other} (--test-file)", "测试文件：{file}，在 {other} 旁边找到（--test-file）"),
    (
        "{part}: {share} of the training file, by class (--split, {flag})",
        "{part}部分：取训练文件的 {share}，各类按比例（--split、{flag}）",
    ),
    ("{part}: {share} of the training file (--split, {flag})", "{part}部分：取训练文件的 {share}（--split、{flag}）"),
    ("sorted by {column}: {count} rows stood before an earlier one", "按 {column} 排序：有 {count} 行次序颠倒"),
    ("sorted by {column} within sequences", "在每个序列内按 {column} 排序"),
    (
        "rows of different sequences are mixed in the file: gathered by sequence",
        "文件中各序列的行混在一起：已按序列归拢",
    ),
    ("{count} rows at a time already seen: kept the {which}", "{count} 行的时间重复：保留{which}"),
    (
        "{count} missing steps inserted in {gaps} gaps, masked",
        "在 {gaps} 处空缺中补入 {count} 步，并作缺失标记",
    ),
    (
        "{count} missing steps inserted in {gaps} gaps, filled with the value before; never scored",
        "在 {gaps} 处空缺中补入 {count} 步，用前一个值填充；从不计入评分",
    ),
    (
        "{count} rows after the test part are not used (--split {split})",
        "测试部分之后的 {count} 行没有用（--split {split}）",
    ),
    (
        "{count} series too short to train on ({names}): fewer than {rows} rows",
        "{count} 个序列太短，无法训练（{names}）：不足 {rows} 行",
    ),
    (
        "split by time: {train} training, {valid} validation, {test} test rows",
        "按时间划分：训练 {train} 行，验证 {valid} 行，测试 {test} 行",
    ),
    (
        "season: none (a season of {season} steps does not fit twice into {rows} training rows)",
        "季节：无（训练部分只有 {rows} 行，容不下两个 {season} 步的季节）",
    ),
    ("season: none", "季节：无"),
    ("season: {season} steps ({frequency})", "季节：{season} 步（{frequency}）"),
    ("horizon: {steps} steps (--horizon)", "预测步数：{steps}（--horizon）"),
    ("context: {steps} steps (--context)", "回看步数：{steps}（--context）"),
    (
        "so long a context takes long to train: --context {steps} is quicker, see whether it does as well",
        "回看这么多步，训练会很久：--context {steps} 快些，可以看看是否一样好",
    ),
    ("calendar inputs: {calendar} (--no-calendar leaves them out)", "日历输入：{calendar}（--no-calendar 不用它们）"),
    (
        "column '{column}' is constant in the training part: it tells a model nothing",
        "列“{column}”在训练部分中是常数：对模型没有用处",
    ),
    (
        "{part}: one window in {stride} is scored, of so many (--stride 1 scores all)",
        "{part}部分：窗口太多，每 {stride} 个评一个（--stride 1 评全部）",
    ),
    ("tokens: {kind} (--tokens)", "切分：{kind}（--tokens）"),
    (
        "tokens: {kind} (--tokens words, --tokens subwords)",
        "切分：{kind}（--tokens words 按词，--tokens subwords 按子词）",
    ),
    ("vocabulary: {count} {kind} (--vocabulary)", "词表：{count} 个{kind}（--vocabulary）"),
    (
        "runs of up to {longest} {kind} that training texts share (--ngrams)",
        "训练文本共有的连续片段，最长 {longest} 个{kind}（--ngrams）",
    ),
    ("validation: {count} of {all} sequences, spread evenly", "验证部分：从 {all} 个序列中均匀选取 {count} 个"),
    (
        "training pieces also moved by up to {count} keys up and down (--transpose)",
        "训练乐曲另外上下移调，各至多 {count} 个键（--transpose）",
    ),
    ("validation: {count} of {all} texts, spread evenly", "验证部分：从 {all} 篇中均匀选取 {count} 篇"),
    (
        "{train} training, {valid} validation, {test} test characters, in this order",
        "依次为：训练 {train} 字，验证 {valid} 字，测试 {test} 字",
    ),
    (
        "{train} training, {valid} validation, {test} test texts",
        "训练 {train} 篇，验证 {valid} 篇，测试 {test} 篇",
    ),
    (
        "{train} training, {valid} validation, {test} test pieces of music",
        "训练 {train} 首乐曲，验证 {valid} 首，测试 {test} 首",
    ),
    (
        "{train} training, {valid} validation, {test} test sequences",
        "训练 {train} 个序列，验证 {valid} 个，测试 {test} 个",
    ),
    # pairs
    ("answer: '{column}' (--answer)", "要写的列：“{column}”（--answer）"),
    ("input: files in '{column}' (--input)", "输入：“{column}”列所指的文件（--input）"),
    (
        "sounds: {count} bands every {hop} ms at {rate} Hz (--features, --sample-rate)",
        "声音：{rate} Hz，每 {hop} 毫秒一帧：{count} 个梅尔频带（--features、--sample-rate）",
    ),
    (
        "sounds: {count} cepstra every {hop} ms at {rate} Hz (--features, --sample-rate)",
        "声音：{rate} Hz，每 {hop} 毫秒一帧：{count} 个倒谱系数（--features、--sample-rate）",
    ),
    ("{count} of {total} {what} left out: {named}", "{total} 个文件中有 {count} 个（{what}）没有用：{named}"),
    ("to read: {count} {kind} (--tokens, --vocabulary)", "要读的词元：{count} 个{kind}（--tokens、--vocabulary）"),
    (
        "to write: {count} {kind} (--answer-tokens, --vocabulary)",
        "要写的词元：{count} 个{kind}（--answer-tokens、--vocabulary）",
    ),
    (
        "{train} training, {valid} validation, {test} test pairs",
        "训练 {train} 对，验证 {valid} 对，测试 {test} 对",
    ),
    # labels of steps
    ("tokens: '{column}' (--input)", "词元：“{column}”（--input）"),
    ("tokens: column 1 (--input)", "词元：第 1 列（--input）"),
    ("tokens are {kind} (--tokens)", "每个词元是一个{kind}（--tokens）"),
    ("labels: '{column}' (--label)", "标签：“{column}”（--label）"),
    ("labels: column {column}, the last (--label)", "标签：第 {column} 列，即最后一列（--label）"),
    ("columns between {blanks} (--delimiter)", "列之间是{blanks}（--delimiter）"),
    ("labels spell spans: {scheme} (--scheme)", "标签标出片段：{scheme}（--scheme）"),
    (
        "{count} labels such as '{label}' do not occur in the training part: they count as wrong",
        "{count} 个标签（如“{label}”）在训练部分没有出现：算作答错",
    ),
    (
        "{count} labels break their scheme (first {where}): a span is taken to begin or end there",
        "{count} 个标签不合标法（第一处 {where}）：当作片段在那里开始或结束",
    ),
    (
        "runs of up to {longest} tokens that training sequences share (--ngrams)",
        "训练序列共有的连续片段，最长 {longest} 个词元（--ngrams）",
    ),
    ("{count} words of texts without labels (--word-texts)", "无标注文本中有 {count} 个词（--word-texts）"),
    (
        "{train} training, {valid} validation, {test} test labels {unit}",
        "标签数：训练 {train}，验证 {valid}，测试 {test}（{unit}）",
    ),
    ("validation: {count} of {all} windows, spread evenly", "验证部分：从 {all} 个窗口中均匀选取 {count} 个"),
    ("{count} labels", "{count} 种标签"),
    # samples
    (
        "rows of different recordings are mixed in the file: gathered by recording",
        "文件中各段记录的行混在一起：已按记录归拢",
    ),
    ("sorted by {column} within recordings", "在每段记录内按 {column} 排序"),
    ("recording: '{column}' (--sequence)", "记录：“{column}”（--sequence）"),
    ("no column names a recording: the file is one (--sequence)", "没有标明记录的列：整个文件算一段（--sequence）"),
    ("time within a recording: '{column}' (--time)", "记录内的时间：“{column}”（--time）"),
    (
        "time: a step of '{column}' is usually {step} in {file}, {other} in training, {times} times as long{unit}: "
        "are they in one unit?",
        "时间：“{column}”的一步在 {file} 中通常是 {step}，在训练文件中是 {other}，是其 {times} 倍{unit}：单位相同吗？",
    ),
    (
        "time: a step of '{column}' is usually {step} in {file}, {other} in training, {times} times as short{unit}: "
        "are they in one unit?",
        "时间：“{column}”的一步在 {file} 中通常是 {step}，在训练文件中是 {other}，只有其 1/{times}{unit}：单位相同吗？",
    ),
    ("interval: {columns} (--interval)", "起止：{columns}（--interval）"),
    ("position: {columns} (--position)", "位置：{columns}（--position）"),
    (
        "{motion} of {columns} over {steps} steps, in units of {unit} a {per} (--motion)",
        "{columns} 的{motion}，跨 {steps} 步，单位是每{per}多少 {unit}（--motion）",
    ),
    (
        "windows of {steps} steps, {margin} more read on either side (--window, --margin)",
        "窗口长 {steps} 步，两边各多读 {margin} 步（--window、--margin）",
    ),
    (
        "neither a time column nor a rate is given: speeds are a step (--time, --sample-rate)",
        "既没有时间列，也没有采样率：速度按每步计（--time、--sample-rate）",
    ),
    ("constant in the training part: {columns}", "在训练部分中是常数：{columns}"),
)

_OWN_WORDS = {
    "task": {
        "forecast": "预测", "classify": "分类", "regress": "回归", "tag": "标注", "generate": "生成",
        "translate": "翻译", "transcribe": "转写", "summarise": "概括", "caption": "描述",
    },
    "part": {"train": "训练", "valid": "验证", "validation": "验证", "test": "测试"},
    "kind": {"characters": "字", "words": "词", "subwords": "子词", "tokens": "词元"},
    "parts": {"train": "训练", "valid": "验证", "test": "测试"},
    "colour": {"grey": "灰度", "rgb": "彩色"},
    "blanks": {"tabs": "制表符", "blanks": "空格"},
    "motion": {"speed": "速度", "direction": "方向", "acceleration": "加速度"},
    "per": {"second": "秒", "step": "步"},
    "unit": {
        "in windows": "按窗口", "in sequences": "按序列", " (milliseconds beside seconds?)": "（毫秒与秒之别？）",
    },
    "which": {"first": "第一行", "last": "最后一行", "mean": "平均值"},
    "calendar": {"hour": "小时", "weekday": "星期", "monthday": "日期", "yearday": "一年中的日子", "month": "月份"},
    "frequency": {
        "hourly": "每小时", "daily": "每天", "weekly": "每周", "monthly": "每月", "quarterly": "每季度",
        "yearly": "每年", "weekdays": "工作日", "row by row": "逐行", "every second": "每秒", "every minute": "每分钟",
    },
}  # fmt: skip
_UNITS = {"days": "天", "hours": "小时", "minutes": "分钟", "seconds": "秒", "months": "个月"}
_PLACE = re.compile(r"\{(\w+)\}")


def note_words(note: str) -> Words:
    """A note in both languages; one that is not known stays as it is.

    Example:
        >>> note_words("season: 24 steps (hourly)").zh
        '季节：24 步（每小时）'
    """
    for pattern, chinese in _patterns():
        if found := pattern.fullmatch(note):
            values = {name: _own_word(name, value) for name, value in found.groupdict().items()}
            return Words(note, chinese.format(**values))
    return Words(note, note)


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    # What says the most by itself is tried first: "input: {columns}" would fit all that begins with "input: ".
    notes = sorted(_NOTES, key=lambda pair: -len(_PLACE.sub("", pair[0])))
    return tuple((_pattern(english), chinese) for english, chinese in notes)


def _pattern(english: str) -> re.Pattern[str]:
    pieces = _PLACE.split(english)
    text = "".join(f"(?P<{piece}>.*?)" if at % 2 else re.escape(piece) for at, piece in enumerate(pieces))
    return re.compile(text, re.DOTALL)


def _own_word(name: str, value: str) -> str:
    """A word of this program in Chinese; what a user called something stays."""
    if name == "per" and (unit := re.fullmatch("unit of '(.*)'", value)):
        return f"单位“{unit[1]}”"
    known = _OWN_WORDS.get(name)
    if known is None:
        return value
    if name == "frequency" and (every := re.fullmatch(r"every ([\d.]+) (\w+)", value)):
        return f"每 {every[1]} {_UNITS.get(every[2], every[2])}"
    if name == "frequency" and (steps := re.fullmatch(r"in steps of (\d+)", value)):
        return f"每步 {steps[1]}"
    return "、".join(known.get(word, word) for word in value.split(", "))
