"""The child that decodes: `python -m remanence.data.media.child DECODER LIMITS`; requests on stdin, answers on stdout.

It limits itself before it opens the first file, and ends when its parent closes stdin.
"""

from __future__ import annotations

import json
import os
import sys
from typing import IO

from remanence.data.media.wire import Decode, Refusal, UndecodableError, write_array, write_ready, write_refusal

__all__ = ["main", "serve"]

_OPEN_FILES = 64


def serve(decode: Decode, memory_bytes: int, cpu_seconds: int) -> None:
    """Answer requests until stdin ends.

    Args:
        decode: a path and options → what the file holds; raises `UndecodableError`, or whatever its library raises.
        memory_bytes: address space that a file may take, beyond what the child has once it is loaded.
        cpu_seconds: processor time a file may take.
    """
    answers = _own_stdout()
    _limit_process(memory_bytes)
    write_ready(answers)
    for line in sys.stdin.buffer:
        request = json.loads(line)
        _limit_cpu(cpu_seconds)
        try:
            write_array(answers, decode(request["path"], request["options"]))
        except MemoryError:
            write_refusal(answers, Refusal(f"needs more than {memory_bytes / 1e6:,.0f} MB of memory to decode"))
        except UndecodableError as error:
            write_refusal(answers, Refusal(error.message, error.remedy))
        except BrokenPipeError:
            return
        except Exception as error:
            text = " ".join(str(error).split())
            write_refusal(answers, Refusal(f"cannot be decoded ({type(error).__name__}: {text})"))


def _own_stdout() -> IO[bytes]:
    """The pipe to the parent; what a library prints goes nowhere, instead of between answers."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return answers


def _limit_process(memory_bytes: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has none; the parent's clock remains.
        return
    wanted = {resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0, resource.RLIMIT_NOFILE: _OPEN_FILES}
    if used := _address_space():
        wanted[resource.RLIMIT_AS] = used + memory_bytes
    for which, limit in wanted.items():
        _, most = resource.getrlimit(which)
        limit = limit if most == resource.RLIM_INFINITY else min(limit, most)
        resource.setrlimit(which, (limit, limit))


def _address_space() -> int:
    """Bytes of address space in use; 0 where the system does not tell (its limit would be a guess)."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _limit_cpu(seconds: int) -> None:
    """So much processor time from now on, then the system ends this process."""
    try:
        import resource
    except ImportError:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + 1 + seconds, most))


def main(arguments: list[str]) -> None:
    """Decode by the decoder of a name, under limits."""
    from remanence.data.media.decoders import decoder

    name, memory_bytes, cpu_seconds = arguments
    serve(decoder(name), int(memory_bytes), int(cpu_seconds))


if __name__ == "__main__":
    main(sys.argv[1:])
