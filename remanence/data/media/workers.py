"""Decode files in child processes that live on from file to file, each held to limits.

    Decoder      one child: `decode(path)` → what the file holds, or why it could not be decoded
    decode_all   many files over several children, in order, a few at a time

A child that runs out of processor time, crashes, or does not answer in time is gone; the file is refused with the
reason, and the next file gets a fresh child.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from remanence.cores import usable_cores
from remanence.data.media.wire import NO_FILE, Decoded, Refusal, WireError, read_answer
from remanence.errors import MachineError

__all__ = ["Decoder", "Limits", "decode_all"]

_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
_START_SECONDS = 120.0
_MOST_WORKERS = 4
_AHEAD = 2
"""Files a worker that are decoded before they are asked for."""


@dataclass(frozen=True)
class Limits:
    """What one file may cost.

    Args:
        memory_bytes: address space of the child, beyond what it takes to start.
        cpu_seconds: its processor time.
        wall_seconds: time until its answer is here.
        answer_bytes: size of the array it gives.
    """

    memory_bytes: int = 1 << 30
    cpu_seconds: int = 60
    wall_seconds: float = 180.0
    answer_bytes: int = 512 << 20


class Decoder:
    """One child process with one decoder; started when it is first needed. Close it, or use it in a `with`.

    Args:
        name: the decoder (see `decoders`).
        limits: for each file.
        command: another child than the package's own (tests).
    """

    def __init__(self, name: str, limits: Limits | None = None, *, command: Sequence[str] | None = None) -> None:
        self.limits = limits or Limits()
        bounds = [str(self.limits.memory_bytes), str(self.limits.cpu_seconds)]
        self._command = [*(command or (sys.executable, "-P", "-m", "remanence.data.media.child", name)), *bounds]
        self._child: subprocess.Popen[bytes] | None = None
        self._late = self._closed = False

    def decode(self, path: str | Path, options: Mapping[str, Any] | None = None) -> Decoded | Refusal:
        """Decode a file.

        Raises:
            MachineError: the child cannot be started.
        """
        if self._closed:
            return Refusal("not decoded: the reading was given up")
        if not Path(path).is_file():
            return NO_FILE
        child = self._child or self._started()
        request = json.dumps({"path": os.path.abspath(path), "options": dict(options or {})})
        try:
            with self._deadline(child, self.limits.wall_seconds):
                assert child.stdin is not None and child.stdout is not None
                child.stdin.write(request.encode() + b"\n")
                child.stdin.flush()
                answer = read_answer(child.stdout, self.limits.answer_bytes)
            if answer is None:
                raise WireError("no answer")
            return answer
        except (WireError, OSError) as error:
            return self._post_mortem(child, error)

    def close(self) -> None:
        """End the child, for good."""
        self._closed = True
        self._end()

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()

    def __enter__(self) -> Decoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _started(self) -> subprocess.Popen[bytes]:
        kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        # One thread, whose arenas count against the limit of memory; modules from where this process has them.
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
        paths = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
        child = self._child = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=kept | threads | {"PYTHONPATH": paths},
        )
        try:
            with self._deadline(child, _START_SECONDS):
                assert child.stdout is not None
                ready = read_answer(child.stdout, 0)
        except (WireError, OSError) as error:
            self._end()
            raise MachineError(
                f"the process that decodes media does not start ({error})",
                remedy="is memory short, or the package half installed?",
            ) from None
        assert ready is None
        return child

    def _deadline(self, child: subprocess.Popen[bytes], seconds: float) -> _Deadline:
        self._late = False

        def end() -> None:
            self._late = True
            child.kill()

        return _Deadline(threading.Timer(seconds, end))

    def _post_mortem(self, child: subprocess.Popen[bytes], error: Exception) -> Refusal:
        """Why the child did not answer; it is gone afterwards."""
        with suppress(subprocess.TimeoutExpired):
            # One that is ending is given the time to say by which signal.
            child.wait(timeout=0.5)
        status, bounds = child.poll(), self.limits
        self._end()
        if self._late:
            return Refusal(
                f"took longer than {bounds.wall_seconds:g} s to decode", "is the disk slow, or the file long?"
            )
        if status == -getattr(signal, "SIGXCPU", 0):
            return Refusal(f"took more than {bounds.cpu_seconds} s of processor time to decode", "cut it into pieces")
        if status:
            reason = signal.Signals(-status).name if status < 0 else f"status {status}"
            return Refusal(f"the decoder crashed ({reason})", "the file is damaged; write it again")
        return Refusal(f"could not be decoded: {error}", "the file is damaged, or too long")


class _Deadline:
    """Ends a child when time is up."""

    def __init__(self, timer: threading.Timer) -> None:
        self._timer = timer
        timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


def decode_all(
    name: str,
    requests: Iterable[tuple[Path, Mapping[str, Any]]],
    *,
    workers: int | None = None,
    limits: Limits | None = None,
) -> Generator[Decoded | Refusal, None, None]:
    """Decode files in their order; no more than a few are held at once.

    Args:
        name: the decoder (see `decoders`).
        requests: paths and options, taken as they are needed.
        workers: child processes; by default one a processor, at most four.
        limits: for each file.
    """
    count = workers or min(_MOST_WORKERS, usable_cores())
    idle: deque[Decoder] = deque(Decoder(name, limits) for _ in range(count))
    every = list(idle)

    def work(path: Path, options: Mapping[str, Any]) -> Decoded | Refusal:
        # There are as many threads as decoders, and each gives back what it took: one is always there.
        decoder = idle.popleft()
        try:
            return decoder.decode(path, options)
        finally:
            idle.append(decoder)

    waiting: deque[Future[Decoded | Refusal]] = deque()
    try:
        with ThreadPoolExecutor(count) as threads:
            try:
                for request in requests:
                    waiting.append(threads.submit(work, *request))
                    if len(waiting) >= _AHEAD * count:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()
                for decoder in every:
                    decoder.close()
    finally:
        # A child that was just starting when it was closed lives until its thread has ended.
        for decoder in every:
            decoder.close()
