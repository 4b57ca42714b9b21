"""What settings and protocols are called in Chinese; in English they go by the names of their flags."""

from __future__ import annotations

from remanence.explain.words import Words

__all__ = ["setting_words"]

_NAMES = {
    # the data
    "task": "任务", "valid_file": "验证文件", "test_file": "测试文件", "split": "划分", "split_column": "划分列",
    "time": "时间列", "series": "序列名列", "target": "预测目标", "known": "未来已知的列", "observed": "只知过去的列",
    "horizon": "预测步数", "context": "回看步数", "season": "季节步数", "stride": "评分间隔", "calendar": "日历输入",
    "input": "输入列", "label": "标签列", "sequence": "序列列", "group": "分组列", "tokens": "切分方式",
    "ngrams": "连续片段长度", "vocabulary": "词表大小", "longest": "最长步数", "missing": "缺失值",
    "origin": "原点", "scale": "同尺度的列", "gaps": "时间空缺",
    "answer": "要写的列", "columns": "列名", "answer_tokens": "写出文本的切分", "lower": "小写",
    "unknown": "只见一次的词当作未知的比例", "word_texts": "数词的无标注文本",
    "permute": "步的打乱次序", "document": "一篇的范围", "transpose": "移调范围",
    "duplicates": "重复时间", "sort": "排序", "format": "文件格式", "delimiter": "分隔符",
    "scheme": "片段标法", "window": "窗口步数", "margin": "两边多读的步数", "position": "位置列", "motion": "运动特征",
    "motion_steps": "运动跨越的步数", "sample_rate": "采样率",
    "interval": "起止列",
    "folder": "文件所在目录", "bad": "坏文件", "longest_seconds": "最长秒数", "features": "声音特征",
    "bands": "梅尔频带数", "coefficients": "倒谱系数个数", "deltas": "差分阶数", "centre": "逐段去均值",
    "frame_ms": "帧长（毫秒）", "stack": "几帧合一步",
    "look_ahead": "向后多看的步数", "mask_steps": "遮盖的帧数", "mask_features": "遮盖的特征数", "language": "语言模型",
    "language_order": "语言模型阶数",
    "hop_ms": "帧移（毫秒）",
    "frame_rate": "每秒帧数", "frame_size": "画面高宽", "colour": "颜色",
    # the model
    "characters": "字母读法", "character_size": "字母特征数", "crf": "条件随机场",
    "cell": "循环单元", "hidden": "每层单元数", "layers": "层数", "bidirectional": "双向", "dropout": "随机丢弃",
    "variational_dropout": "状态丢弃（全序列同一掩码）", "initialise": "初始化", "reach": "要跨越的步数",
    "embedding": "词向量维数", "embedding_dropout": "整词丢弃", "tied": "读写同一词向量",
    "weight_drop": "循环权重丢弃", "skip": "输入直通", "convolution": "前置卷积通道",
    "branch": "旁路卷积通道", "differences": "差分输入", "displacement": "相对首步的位移",
    "pool": "汇聚方式", "normalise": "窗口标准化",
    "attention": "注意力", "input_feeding": "输入反馈", "coverage": "覆盖代价", "copy_source": "抄写原文",
    "beam": "束宽", "length_penalty": "长度奖励",
    "strategy": "多步策略", "quantiles": "分位数",
    # the training
    "epochs": "轮数", "steps": "更新次数", "minutes": "分钟数", "seeds": "种子数", "seed": "第一个种子",
    "batch_size": "批大小", "learning_rate": "学习率", "schedule": "学习率变化", "weight_decay": "权重衰减",
    "clip": "梯度上限", "average": "权重平均", "loss": "损失函数", "smoothing": "标签平滑",
    "scheduled_sampling": "计划采样",
    "recall": "漏掉片段的代价", "calibrate": "按验证部分校准标签", "noise": "噪声", "stretch": "时间伸缩",
    "input_dropout": "输入丢弃（全序列同一掩码）",
    "keep": "保留的权重", "evaluate_every": "评估间隔", "patience": "耐心", "truncate": "截断步数", "threads": "线程数",
    "device": "设备", "tensorboard": "TensorBoard", "figures": "图片格式",
    # where and how
    "path": "文件", "from_run": "相对位置", "fingerprint": "数据指纹", "train": "训练", "valid": "验证", "test": "测试",
    "metric": "指标", "chosen_on": "选择依据", "scored_on": "评分部分", "alike": "相同之处", "replicates": "重抽次数",
    "level": "置信水平", "block": "块长", "data": "数据", "model": "模型", "examples": "例子数", "bootstrap": "自助法",
    "notes": "备注", "settings": "设置", "versions": "版本",
}  # fmt: skip


def setting_words(name: str) -> Words:
    """A dotted name of a setting, with its Chinese one beside it.

    Example:
        >>> setting_words("train.learning_rate").zh
        '学习率（train.learning_rate）'
    """
    chinese = _NAMES.get(name.rpartition(".")[2])
    return Words(name, name if chinese is None else f"{chinese}（{name}）")
