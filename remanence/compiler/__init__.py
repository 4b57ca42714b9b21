"""Equations → what runs. Knows no task and no data set.

    text → parse → ir.Step → schedule → emit_torch      eager PyTorch, the readable reference
                           ↘ emit_latex                 for people
                           ↘ derive → layout → emit_cpu compiled time loops for the CPU: `kernel`, `run_cpu`, `cache`

`parse`, `ir`, `infer`, `schedule` and `scalar` do not import torch.
"""

from __future__ import annotations

__all__: list[str] = []
