"""A token by its beginnings, its endings and its shape: what tells a kind of name where the name itself is new.

Each of them is hashed into a small table of vectors of its own, and the vectors are added up.

References:
    Prefixes, suffixes and shapes as features of names: Ratinov & Roth 2009, doi:10.3115/1596374.1596399, §5.
    Vectors by a hash: Joulin, Grave, Bojanowski & Mikolov 2017, arXiv:1607.01759, §2.2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["AffixEncoder", "kinds_of"]

_LONGEST = 4
_ROWS = 1 << 13
_FACTOR = 2654435761


def kinds_of(letters: Sequence[str]) -> np.ndarray:
    """Kind of each character, int64: 1 small, 2 capital, 3 digit, 4 other letter, 5 sign.

    Example:
        >>> kinds_of("aA1中#").tolist()
        [1, 2, 3, 4, 5]
    """
    found = [
        3 if each.isdigit() else 2 if each.isupper() else 1 if each.islower() else 4 if each.isalpha() else 5
        for each in letters
    ]
    return np.array(found, np.int64)


class AffixEncoder(nn.Module):
    """The first and last one to four characters of a token, its shape and its length → one vector.

    The shape is the kinds of its characters, equal neighbours counted once: `McDonald` is capital, small, capital,
    small. A token without characters gives zeros.

    Args:
        kinds: of the characters known (see `kinds_of`), int64 `[letter]`, those for padding and unknown ones included.
        size: features of the vector.
        left_out: rate at which each beginning and each ending is left out, in training: a name that is new shares some
            of them at most. Shape and length are known of every token.
    """

    kinds: Tensor

    def __init__(self, kinds: np.ndarray, size: int, *, left_out: float = 0.0) -> None:
        super().__init__()
        # Follows from the encoders, so it is no part of the weights.
        self.register_buffer("kinds", torch.from_numpy(kinds), persistent=False)
        self.tables = nn.ModuleList(nn.Embedding(_ROWS, size) for _ in range(2 * _LONGEST + 2))
        for table in self.tables:
            nn.init.normal_(table.weight, std=0.1)  # type: ignore[arg-type]
        self.left_out, self.output_size = left_out, size

    def forward(self, characters: Tensor) -> Tensor:
        """Numbers of characters `[token, character]`, 0 behind the last → `[token, size]`."""
        lengths = (characters > 0).sum(1)
        found = characters.new_zeros(len(characters), self.output_size, dtype=self.tables[0].weight.dtype)  # type: ignore[call-overload]
        for place, (table, code) in enumerate(zip(self.tables, self._codes(characters, lengths), strict=True)):
            vectors = table(code % _ROWS)
            if self.training and self.left_out > 0 and place < 2 * _LONGEST:
                kept = torch.rand(len(vectors), 1, device=vectors.device) >= self.left_out
                vectors = vectors * (kept / (1 - self.left_out))
            found = found + vectors
        return torch.where((lengths > 0)[:, None], found, 0.0)

    def _codes(self, characters: Tensor, lengths: Tensor) -> list[Tensor]:
        """Hashes of beginnings, endings, shape, and the length, int64 `[token]` each."""
        if characters.shape[1] == 0:
            return [lengths] * len(self.tables)
        codes = []
        for ending in (False, True):
            code = torch.zeros_like(lengths)
            for place in range(_LONGEST):
                at = lengths - 1 - place if ending else torch.full_like(lengths, place)
                inside = (at >= 0) & (at < lengths)
                letter = characters.gather(1, at.clamp(0, characters.shape[1] - 1)[:, None])[:, 0]
                code = _mixed(code, torch.where(inside, letter, 0))
                codes.append(code)
        kinds = self.kinds[characters]
        shape, before = torch.zeros_like(lengths), torch.zeros_like(lengths)
        for place in range(characters.shape[1]):
            now = kinds[:, place]
            shape = torch.where((now != before) & (now > 0), _mixed(shape, now), shape)
            before = now
        return [*codes, shape, lengths]


def _mixed(code: Tensor, letter: Tensor) -> Tensor:
    """The code of a run one character longer, not negative."""
    mixed = (code + letter + 1) * _FACTOR
    return (mixed ^ (mixed >> 15)) & 0x7FFFFFFF
