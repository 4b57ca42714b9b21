"""A token as a vector of its own beside one made of its characters, by a recurrent layer or by a convolution.

References:
    Recurrent, both ends joined: Lample, Ballesteros, Subramanian, Kawakami & Dyer 2016, arXiv:1603.01360, §4.1.
    Convolution and maximum over the word: Ma & Hovy 2016, arXiv:1603.01354, §2.1.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from remanence.errors import SettingError
from remanence.nn import fused
from remanence.nn.affixes import AffixEncoder
from remanence.nn.convolution import neighbours
from remanence.nn.dropout import Dropout
from remanence.nn.encoders import TokenEncoder
from remanence.nn.pool import State
from remanence.nn.recurrent import Recurrent
from remanence.sequences import Sequences

__all__ = ["CharacterEncoder", "WordEncoder"]

_LETTER = 32
_WIDTH = 3
_USE = 16


class CharacterEncoder(nn.Module):
    """The characters of a token → one vector; a token without characters gives zeros.

    Args:
        letters: characters known, those for padding and unknown ones included.
        size: features of the vector.
        kind: `recurrent` (an LSTM from both ends, its two last states) or `convolution` (of three characters, and the
            maximum over the token).
        dropout: rate of dropout of the characters' own vectors, in training.
    """

    def __init__(self, letters: int, size: int, *, kind: str = "convolution", dropout: float = 0.0) -> None:
        super().__init__()
        if kind not in ("recurrent", "convolution"):
            raise SettingError(f"no such way '{kind}'", name="characters", remedy="none, recurrent or convolution")
        self.kind, self.output_size = kind, size
        self.vectors = nn.Embedding(letters, _LETTER)
        nn.init.normal_(self.vectors.weight, std=0.3)
        self.dropout = Dropout(dropout)
        if kind == "recurrent":
            half = max(1, size // 2)
            self.output_size = 2 * half
            self.reader: nn.Module = Recurrent("lstm", _LETTER, half, bidirectional=True)
        else:
            self.reader = nn.Conv1d(_LETTER, size, _WIDTH, padding=_WIDTH // 2)

    def forward(self, characters: Tensor) -> Tensor:
        """Numbers of characters `[token, character]`, 0 behind the last → `[token, size]`."""
        lengths = (characters > 0).sum(1).cpu()
        most = int(lengths.max()) if len(lengths) else 0
        if most == 0:
            return self.vectors.weight.new_zeros(len(characters), self.output_size)
        characters = characters[:, :most]
        if isinstance(self.reader, Recurrent):
            state = self.reader(Sequences(self.dropout(self._vectors(characters)), lengths)).state["h"]
            return torch.cat([state[0], state[1]], dim=1)
        assert isinstance(self.reader, nn.Conv1d) and self.reader.bias is not None
        # One row of zeros parts the tokens, and serves both.
        line = nn.functional.pad(nn.functional.pad(characters, (0, 1)).flatten(), (1, 1))
        data = self.dropout(self._vectors(line))
        read = neighbours(data, self.reader.weight, self.reader.bias).view(len(characters), most + 1, -1)
        highest = fused.sum_and_highest(read, lengths)[1]
        return torch.where((lengths > 0).to(highest.device)[:, None], highest, 0.0)

    def _vectors(self, characters: Tensor) -> Tensor:
        """Of each; zeros for what is no character."""
        found = self.vectors(characters)
        return found * (characters > 0).to(found)[..., None]


class WordEncoder(nn.Module):
    """A token's own vector, and what its characters say, side by side.

    Args:
        tokens: gives the vector of a token, and of runs of them.
        characters: reads its characters; None to leave them out.
        uses: kinds of use that texts without labels make of tokens (see `data.usage`); 0 where that is not read.
        dropout: rate of dropout of what the characters give, in training.
    """

    def __init__(
        self,
        tokens: TokenEncoder,
        characters: CharacterEncoder | AffixEncoder | None,
        *,
        uses: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.tokens, self.characters = tokens, characters
        self.dropout = Dropout(dropout)
        self.uses = nn.Embedding(uses, _USE) if uses else None
        self.output_size = tokens.output_size + (characters.output_size if characters else 0) + (_USE if uses else 0)

    def forward(self, inputs: Sequences, state: State) -> tuple[Sequences, State]:
        """Encode `[batch, time, 1 + character]`: a token's number, that of its use where read, then its characters'."""
        own, carried = self.tokens(Sequences(inputs.data[..., 0], inputs.lengths), state)
        mask, found = inputs.mask()[..., None], [own.data]
        first = 1
        if self.uses is not None:
            found.append(torch.where(mask, self.uses(torch.where(mask[..., 0], inputs.data[..., 1], 0)), 0.0))
            first = 2
        if self.characters is not None:
            found.append(self.dropout(self._read(self.characters, torch.where(mask, inputs.data[..., first:], 0))))
        return Sequences(torch.cat(found, dim=-1), inputs.lengths), carried

    @staticmethod
    def _read(characters: nn.Module, spelt: Tensor) -> Tensor:
        # Most tokens of a batch stand in it more than once: each is spelt once.
        distinct, place = _each_once(spelt.flatten(0, 1))
        return characters(distinct)[place].reshape(*spelt.shape[:2], -1)


def _each_once(rows: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct ones of rows of numbers below 2³¹, in any order, and the place of each row among them."""
    if rows.device.type != "cpu" or not rows.numel():
        return torch.unique(rows, dim=0, return_inverse=True)
    # As strings of bytes: torch, which compares number by number, takes six times as long.
    spelt = np.ascontiguousarray(rows.numpy().astype(np.int32))
    spelt = spelt.view(np.dtype((np.void, spelt[0].nbytes))).ravel()
    _, first, place = np.unique(spelt, return_index=True, return_inverse=True)
    return rows[torch.from_numpy(first)], torch.from_numpy(place)
