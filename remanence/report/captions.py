"""How to read each figure, in plain words of both languages."""

from __future__ import annotations

from remanence.explain.words import Words

__all__ = ["HOW"]

HOW = {
    "learning": Words(
        "Lower is better. The dashed line is the loss on the data it learns from, the solid line the "
        "error on data kept aside. Where the solid line turns up while the dashed one falls, it "
        "begins to learn by heart; the weights kept are those of the lowest solid point.",
        "越低越好。虚线是训练数据上的损失，实线是留出数据上的误差。若虚线仍降而实线回升，说明开始死记"
        "硬背；最后保留的是实线最低处的权重。",
    ),
    "forecasts": Words(
        "Windows spread evenly over the test part, none of which was seen in training. Left of the "
        "dotted line is what the model saw; right of it the forecast (blue) beside what came (black) "
        "and the simple model that repeats the past (orange): its last season, or its last value.",
        "从测试部分均匀选取的窗口，训练时都没见过。虚线左边是模型看到的历史；右边是预测（蓝）、实际值"
        "（黑）和只会重复过去的简单模型（橙）：重复上一季，或最后一个值。",
    ),
    "numbers": Words(
        "Each dot is a sequence of the test part: what the model answered over what was true. On the dashed line it "
        "is right.",
        "每个点是测试部分的一条序列：模型的回答对真实值。落在虚线上就是答对。",
    ),
    "confusion": Words(
        "Each row is a true class, each column an answer: what lies on the diagonal is right. The "
        "darker, the larger the share of its row.",
        "每行是真实类别，每列是模型的回答；对角线上是答对的。颜色越深，占该行的比例越大。",
    ),
    "comparison": Words(
        "A dot is a model's error on the test part (the mean over seeds), the bar its 95 % interval. "
        "The further left, the better.",
        "点是模型在测试部分的误差（各种子的平均），横条是 95 % 区间。越靠左越好。",
    ),
    "gates": Words(
        "Each small picture is one quantity of the cell's equations. Read it from left to right, as "
        "the model reads the example; each line is one unit. Blue pictures are gates between 0 "
        "(shut, pale) and 1 (open, dark): a forget gate that stays dark keeps what its unit holds. "
        "In the others orange is positive and purple negative.",
        "每幅小图是单元方程中的一个量，从左到右就是模型读例子的顺序，每一行是一个单元。蓝色图是 0（关"
        "，浅）到 1（开，深）之间的门：遗忘门一直深，说明该单元保住了内容。其余图中橙色为正，紫色为负"
        "。",
    ),
    "reach": Words(
        "Pick a row: that is an input. Follow it to the right: how dark it still is tells how much "
        "of this input is left in the model's state at each later step (100 % where it comes in). A "
        "dark band along the diagonal only means a short memory; a dark row all the way to the right "
        "is an input that is remembered to the end. All models share one colour scale. Measured as "
        "the size of ∂h_t/∂x_s, relative to t = s.",
        "任选一行，它代表一个输入。沿这一行向右看，颜色还有多深，就是到那一步时模型状态里还留着多少这"
        "个输入（进入时为 100 %）。只有对角线附近深，说明记忆很短；一整行都深，说明这个输入一直被记住"
        "。各模型用同一色标。度量方法：∂h_t/∂x_s 的大小，相对 t = s 时的值。",
    ),
    "path": Words(
        "The same question along the direct path of the cell's own state: the product of the forget "
        "gates between the two steps, averaged over units. This is what makes gated cells remember; "
        "a plain RNN has no such path.",
        "同一个问题，但只看单元状态的直接通路：两步之间各遗忘门的乘积，对各单元取平均。带门的单元靠它"
        "记忆；普通 RNN 没有这条路。",
    ),
    "first": Words(
        "The first row of the pictures above as a line: what is left of the very first input after "
        "each step. The scale is logarithmic: each line down is ten times less. The dashed line is "
        "one half.",
        "把上图的第一行画成曲线：最早的输入在每一步之后还剩多少。纵轴是对数：每低一格少十倍。虚线是一半。",
    ),
    "activations": Words(
        "The curves through which gates and candidates pass, with their slopes. The grey bars show "
        "where this model was on them while it read the example. Far out, where the slope is near 0, "
        "nothing more is learnt: the gradient vanishes.",
        "门和候选值所经过的曲线及其斜率。灰色柱是模型读这个例子时所处的位置。在两端斜率接近 0，学不动了：梯度消失。",
    ),
}
