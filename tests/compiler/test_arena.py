"""Memory that is used again."""

from __future__ import annotations

import threading

import torch

from remanence.compiler import arena


def test_array_is_used_again_once_nobody_holds_it() -> None:
    arena.release()
    one = arena.borrow((3, 5), torch.float32)
    other = arena.borrow((3, 5), torch.float32)
    assert one.tensor.data_ptr() != other.tensor.data_ptr()
    place = one.tensor.data_ptr()
    del one
    assert arena.kept_bytes() == 60
    assert arena.borrow((15,), torch.float64).tensor.data_ptr() != place
    assert arena.borrow((2, 7), torch.float32).tensor.data_ptr() == place


def test_array_of_inference_serves_training() -> None:
    arena.release()
    with torch.inference_mode():
        place = arena.borrow((3, 5), torch.float32).tensor.data_ptr()
    again = arena.borrow((3, 5), torch.float32).tensor
    assert again.data_ptr() == place
    again.zero_()


def test_no_more_is_kept_than_the_cap(monkeypatch) -> None:
    arena.release()
    monkeypatch.setattr(arena, "MOST_BYTES", 100)
    leases = [arena.borrow((10,), torch.float32) for _ in range(4)] + [arena.borrow((26,), torch.float32)]
    leases.clear()
    assert 0 < arena.kept_bytes() <= 100
    arena.release()
    assert arena.kept_bytes() == 0


def test_lease_that_ends_while_the_lock_is_held_waits_for_nobody() -> None:
    lease = [arena.borrow((7,), torch.float32)]

    def end() -> None:
        with arena._lock:
            lease.clear()

    thread = threading.Thread(target=end, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert arena.kept_bytes() >= 28
