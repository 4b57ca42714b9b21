"""A token by its beginnings, its endings and its shape: what tells a kind of name where the name itself is new.

Each of them is hashed into rows of its own in one table of vectors, and the vectors are added up.

References:
    Prefixes, suffixes and shapes as features of names: Ratinov & Roth 2009, doi:10.3115/1596374.1596399, §5.
    Vectors by a hash: Joulin, Grave, Bojanowski & Mikolov 2017, arXiv:1607.01759, §2.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from remanence.nn.twin import transformed

__all__ = ["AffixEncoder", "kinds_of"]

_LONGEST = 4
_TRAITS = 2 * _LONGEST + 2
_ROWS = 1 << 13
_FACTOR = 2654435761
_REMEMBERED = 1 << 16
"""Tokens whose rows are remembered: to find them takes longer than to read the vectors."""


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
        self.table = nn.EmbeddingBag(_TRAITS * _ROWS, size, mode="sum")
        nn.init.normal_(self.table.weight, std=0.1)
        self.left_out, self.output_size = left_out, size
        self._known: dict[bytes, bytes] = {}

    def forward(self, characters: Tensor) -> Tensor:
        """Numbers of characters `[token, character]`, 0 behind the last → `[token, size]`."""
        if not characters.numel():
            return self.table.weight.new_zeros(len(characters), self.output_size)
        watched = transformed() or torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None
        rows = self._found(characters) if watched or not characters.is_cpu else self._rows(characters)
        if self.training and self.left_out > 0:
            drawn = torch.rand(2 * _LONGEST, len(rows), device=rows.device).T
            weights = torch.ones(rows.shape, dtype=self.table.weight.dtype, device=rows.device)
            weights[:, : 2 * _LONGEST] = (drawn >= self.left_out) / (1 - self.left_out)
            found = self.table(rows, per_sample_weights=weights)
        else:
            found = self.table(rows)
        return torch.where(characters[:, :1] > 0, found, 0.0)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_known": {}}

    def _rows(self, characters: Tensor) -> Tensor:
        """Rows of the table, int64 `[token, trait]`; of a token that was met before, as they were found then."""
        spelt = np.ascontiguousarray(characters.numpy().astype(np.int32))
        # Zeros at the end are no characters.
        names = [name.rstrip(b"\0") for name in spelt.view(np.dtype((np.void, spelt[0].nbytes))).ravel().tolist()]
        known = self._known
        fresh = [place for place, name in enumerate(names) if name not in known]
        if fresh:
            if len(known) > _REMEMBERED:
                known = self._known = {}
                fresh = list(range(len(names)))
            for place, row in zip(fresh, self._found(characters[fresh]).numpy(), strict=True):
                known[names[place]] = row.tobytes()
        held = bytearray().join([known[name] for name in names])
        return torch.frombuffer(held, dtype=torch.int64).view(-1, _TRAITS)

    def _found(self, characters: Tensor) -> Tensor:
        """The same, worked out: each trait has rows of its own."""
        lengths = (characters > 0).sum(1)
        return self._codes(characters, lengths) % _ROWS + torch.arange(_TRAITS, device=characters.device) * _ROWS

    def _codes(self, characters: Tensor, lengths: Tensor) -> Tensor:
        """Hashes of beginnings, endings and shape, and the length, int64 `[token, trait]`."""
        most = characters.shape[1]
        steps = torch.arange(_LONGEST, device=characters.device).expand(len(characters), -1)
        at = torch.cat([steps, lengths[:, None] - 1 - steps], dim=1)
        letters = torch.where((at >= 0) & (at < lengths[:, None]), characters.gather(1, at.clamp(0, most - 1)), 0)
        sides, codes = letters.reshape(len(letters), 2, _LONGEST), [torch.zeros_like(letters[:, :2])]
        for place in range(_LONGEST):
            codes.append(_mixed(codes[-1], sides[:, :, place]))
        runs = torch.stack(codes[1:], dim=2).flatten(1)
        return torch.cat([runs, self._shapes(characters)[:, None], lengths[:, None]], dim=1)

    def _shapes(self, characters: Tensor) -> Tensor:
        """Hashes of the kinds of each token's characters, equal neighbours once, int64 `[token]`."""
        kinds = self.kinds[characters]
        changed = kinds != nn.functional.pad(kinds[:, :-1], (1, 0))
        # The first of each run of one kind moves to the front, in order; what is none gathers behind them.
        order = torch.where(changed & (kinds > 0), changed.cumsum(1), kinds.shape[1] + 1)
        count = int(((order <= kinds.shape[1]).sum(1)).max())
        firsts = kinds.new_zeros(len(kinds), kinds.shape[1] + 2).scatter(1, order, kinds)[:, 1 : count + 1]
        code = torch.zeros_like(kinds[:, 0])
        for place in range(count):
            now = firsts[:, place]
            code = torch.where(now > 0, _mixed(code, now), code)
        return code


def _mixed(code: Tensor, letter: Tensor) -> Tensor:
    """The code of a run one character longer, not negative."""
    mixed = (code + letter + 1) * _FACTOR
    return (mixed ^ (mixed >> 15)) & 0x7FFFFFFF
