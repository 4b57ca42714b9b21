"""Torch modules: a recurrent layer of any cell, drop-ins for torch.nn's, and what stands before and behind them."""

from __future__ import annotations

from remanence.nn.conversion import convert, restore
from remanence.nn.dropin import GRU, LSTM, RNN
from remanence.nn.dropin_cells import GRUCell, LSTMCell, RNNCell
from remanence.nn.irregular import observed
from remanence.nn.recurrent import Recurrent, RecurrentOptions, RecurrentOutput
from remanence.nn.stepper import Stepper

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "GRUCell",
    "LSTMCell",
    "RNNCell",
    "Recurrent",
    "RecurrentOptions",
    "RecurrentOutput",
    "Stepper",
    "convert",
    "observed",
    "restore",
]
