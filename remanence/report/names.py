"""What people call models and metrics, in both languages, and how a number is shown."""

from __future__ import annotations

from typing import Any

import numpy as np

from remanence.explain.words import Words

__all__ = ["metric_title", "model_title", "model_words", "number"]

METRICS = {
    "mae": Words("MAE", "MAE"),
    "mse": Words("MSE", "MSE"),
    "rmse": Words("RMSE", "RMSE"),
    "r2": Words("R²", "R²"),
    "mae_units": Words("MAE, own units", "MAE（原单位）"),
    "smape": Words("sMAPE, %", "sMAPE（%）"),
    "mase": Words("MASE", "MASE"),
    "pinball": Words("pinball", "分位损失"),
    "coverage": Words("coverage", "覆盖率"),
    "accuracy": Words("accuracy", "准确率"),
    "macro_f1": Words("macro-F1", "宏平均 F1"),
    "log_loss": Words("log loss", "对数损失"),
    "nats": Words("nats a token", "每词元 nat"),
    "bits": Words("bits a token", "每词元比特"),
    "perplexity": Words("perplexity", "困惑度"),
    "nats_per_character": Words("nats a character", "每字 nat"),
    "bits_per_character": Words("bits a character", "每字比特"),
    "nll": Words("NLL a frame, nats", "每帧 NLL（nat）"),
    "frame_accuracy": Words("frame accuracy", "帧准确率"),
    "error": Words("error rate", "错误率"),
    "span_error": Words("1 − span F1", "1 − 片段 F1"),
    "f1": Words("span F1", "片段 F1"),
    "precision": Words("precision", "精确率"),
    "recall": Words("recall", "召回率"),
    "event_f1": Words("event F1", "事件 F1"),
    "event_iou_f1": Words("event F1 (IoU ≥ ½)", "事件 F1（IoU ≥ ½）"),
    "unseen": Words("labels not seen", "未见标签"),
    "chrf_error": Words("1 − chrF of a text", "1 − 每句 chrF"),
    "bleu": Words("BLEU", "BLEU"),
    "chrf": Words("chrF", "chrF"),
    "rouge1": Words("ROUGE-1", "ROUGE-1"),
    "rouge2": Words("ROUGE-2", "ROUGE-2"),
    "rougeL": Words("ROUGE-L", "ROUGE-L"),
    "wer": Words("word error rate", "词错误率"),
    "cer": Words("character error rate", "字错误率"),
    "text_error": Words("texts not wholly right", "未全对的文本"),
    "greedy_wer": Words("word error rate, likeliest path", "词错误率（最可能路径）"),
    "greedy_cer": Words("character error rate, likeliest path", "字错误率（最可能路径）"),
    "error_rate": Words("error rate", "错误率"),
}

MODELS = {
    "naive": Words("naive (last value)", "朴素（最后一个值）"),
    "seasonal-naive": Words("seasonal naive (last season)", "季节朴素（上一季）"),
    "drift": Words("drift", "漂移"),
    "mean": Words("mean", "均值"),
    "ridge": Words("ridge autoregression", "岭自回归"),
    "majority": Words("majority class", "多数类"),
    "bag-of-pairs": Words("bag of words and pairs", "词与词对袋"),
    "bag-of-words": Words("bag of words", "词袋"),
    "unigram": Words("token frequencies", "词元频率"),
    "kneser-ney": Words("Kneser–Ney n-gram", "Kneser–Ney n 元模型"),
    "key-frequency": Words("key frequencies", "琴键频率"),
    "key-transitions": Words("each key by itself", "每个琴键单独看"),
    "frequent-text": Words("commonest text", "最常见的文本"),
    "copy-source": Words("the source itself", "照抄原文"),
    "lead": Words("beginning of the source", "原文开头"),
    "nearest-text": Words("text of the nearest source", "最相近原文的译文"),
    "summary": Words("summary statistics", "汇总统计"),
    "nearest-clip": Words("text of the nearest video", "最相近视频的文本"),
    "mean-frame": Words("mean of the frames", "各帧平均"),
    "word-label": Words("label of each word", "每词最常见标签"),
    "token-window": Words("regression on a window", "窗口回归"),
    "sample-window": Words("regression on a window", "窗口回归"),
    "threshold": Words("speed threshold (I-VT)", "速度阈值（I-VT）"),
    "nearest-dtw": Words("nearest neighbour (DTW)", "最近邻（DTW）"),
}


def metric_title(name: str) -> Words:
    """What people call a metric, that of a quantile or a column among them.

    Example:
        >>> metric_title("pinball_0.1").zh, metric_title("mae_units_temp_max").en
        ('分位损失 0.1', 'MAE, own units temp_max')
    """
    if name in METRICS:
        return METRICS[name]
    kind = max((known for known in METRICS if name.startswith(f"{known}_")), key=len, default="")
    if not kind:
        return Words(name.replace("_", " "), name.replace("_", " "))
    rest = name.removeprefix(f"{kind}_")
    return Words(f"{METRICS[kind].en} {rest}", f"{METRICS[kind].zh} {rest}")


def model_title(name: str) -> str:
    """`LSTM` for lstm, `GRU-before` for gru-before; names with blanks stay as they are."""
    first, dash, rest = name.partition("-")
    return name if " " in name else first.upper() + dash + rest


def model_words(name: str, *, recurrent: bool) -> Words:
    """What people call a model.

    Example:
        >>> model_words("lstm", recurrent=True).en, model_words("mean", recurrent=False).zh
        ('LSTM', '均值')
    """
    if recurrent:
        return Words(model_title(name), model_title(name))
    return MODELS.get(name, Words(name, name))


def number(value: Any) -> str:
    """Four digits that matter, or a dash where there is no number.

    Example:
        >>> number(0.123456), number(14), number(None), number(1234567)
        ('0.1235', '14', '–', '1,234,567')
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if abs(value) >= 10000 else f"{value:.4g}"
