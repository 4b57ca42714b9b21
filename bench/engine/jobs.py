"""What is asked for, as work for processes: one for each peer and number of threads, then one for each measure."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bench.engine.measures import MEASURES
from bench.engine.peers import PEERS
from bench.engine.plain import PLAIN
from bench.engine.plan import MODES, SHAPES, Case, Mode, Shape, cases, default_pairs
from remanence.cells import CELLS

__all__ = ["Job", "jobs", "narrowed"]

QUICK_SHAPES = SHAPES[:2]


@dataclass(frozen=True)
class Job:
    """What one process does."""

    title: str
    threads: int
    cases: tuple[Case, ...] = ()
    measures: tuple[str, ...] = ()


def narrowed(asked: Any) -> bool:
    """Whether a part of the plan is asked for."""
    return any((asked.cells, asked.modes, asked.peers, asked.shapes, asked.measures, asked.threads, asked.only))


def jobs(asked: Any) -> list[Job]:
    """The processes to start: one for each peer and number of threads, then one for each measure.

    Raises:
        ValueError: an unknown name, a malformed shape or number; or nothing is left to measure.
    """
    found = list(_jobs(asked))
    if not found:
        raise ValueError("nothing to measure: none of these peers is installed and computes these cells in these modes")
    return found


def _jobs(asked: Any) -> Iterator[Job]:
    cells, modes = _known("cells", asked.cells, PLAIN), _known("modes", asked.modes, MODES)
    peers, measures = _known("peers", asked.peers, PEERS), _known("measures", asked.measures, MEASURES)
    texts = asked.threads or (["1"] if asked.quick or os.cpu_count() == 1 else ["1", "2"])
    if not all(text.isdigit() and 1 <= int(text) <= (os.cpu_count() or 1) for text in texts):
        raise ValueError(f"--threads {','.join(texts)}: expected numbers up to {os.cpu_count()}, this machine's cores")
    threads = [int(text) for text in texts]
    shapes = [Shape.parse(text) for text in asked.shapes] if asked.shapes else QUICK_SHAPES if asked.quick else SHAPES
    by_case = bool(cells or modes or peers or asked.shapes)
    if asked.only != "measures" and (by_case or not measures):
        triples = _triples(cells, modes, peers)
        for peer in dict.fromkeys(peer for _, _, peer in triples):
            of_peer = [triple for triple in triples if triple[2] == peer]
            for count in threads:
                yield Job(f"{PEERS[peer].title}, {count} thread(s)", count, tuple(cases(of_peer, shapes, [count])))
    if asked.only != "cases" and (measures or not by_case):
        for name in measures or MEASURES:
            for count in sorted({*MEASURES[name].threads} & {*threads}):
                yield Job(f"{MEASURES[name].title}, {count} thread(s)", count, (), (name,))


def _triples(cells: list[str], modes: list[str], peers: list[str]) -> list[tuple[str, Mode, str]]:
    """Cell, mode and peer: of the plan, or all that is asked for by name; those that can be computed here."""
    plan = default_pairs()
    if peers:
        every = [(cell, mode, peer) for peer in peers for cell in cells or PLAIN for mode in modes or MODES]
    else:
        # The plan's peers for the cells that it has, every peer for the others.
        known = {cell for cell, mode, _ in plan if not modes or mode in modes}
        others = [cell for cell in cells if cell not in known]
        every = plan + [(cell, mode, peer) for peer in PEERS for cell in others for mode in modes or MODES[:1]]
    found = []
    for cell, mode, peer in every:
        wanted = (not cells or cell in cells) and (not modes or mode in modes)
        if wanted and cell in CELLS and PEERS[peer].installed() and PEERS[peer].computes(cell, mode):
            found.append((cell, mode, peer))
    return found


def _known(name: str, given: list[str] | None, values: Any) -> list[str]:
    for value in given or ():
        if value not in values:
            raise ValueError(f"--{name}: no '{value}'; expected some of {', '.join(values)}")
    return list(given or ())
