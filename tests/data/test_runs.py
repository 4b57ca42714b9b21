import numpy as np
import torch

from remanence.data.runs import BITS, Runs, follow, learn_runs


def _naive(texts, longest):
    """Runs that stand in two texts, by sets."""
    seen = {}
    for number, text in enumerate(texts):
        padded = [0] * (longest - 1) + list(text)
        for size in range(2, longest + 1):
            for end in range(longest - 1, len(padded)):
                seen.setdefault(tuple(padded[end - size + 1 : end + 1]), set()).add(number)
    return {run for run, places in seen.items() if len(places) > 1}, set(seen)


def _code(run):
    code = np.array([run[-1]])
    for token in reversed(run[:-1]):
        code = follow(code, np.array([token]))
    return int(code[0]) % 2**BITS


def test_runs_known_are_those_that_two_texts_share():
    random = np.random.default_rng(0)
    texts = [random.integers(2, 12, length).tolist() for length in (0, 1, 2, 9, 30, 30, 40)]
    slabs = [
        (np.concatenate(texts[:4]).astype(int), np.repeat(np.arange(4), [len(text) for text in texts[:4]])),
        (np.concatenate(texts[4:]).astype(int), np.repeat(np.arange(4, 7), [len(text) for text in texts[4:]])),
    ]
    runs = learn_runs(slabs, 3)
    shared, every = _naive(texts, 3)
    assert len(shared) > 20
    assert all(runs.known[_code(run)] for run in shared)
    assert sum(runs.known[_code(run)] for run in every - shared) <= 1


def test_runs_survive_json_and_are_the_same_in_torch():
    runs = learn_runs([(np.arange(50) % 7, np.arange(50) // 10)], 2)
    again = Runs.model_validate_json(runs.model_dump_json())
    assert np.array_equal(again.known, runs.known)
    end, before = np.random.default_rng(1).integers(0, 2**31, (2, 500))
    assert follow(torch.from_numpy(end), torch.from_numpy(before)).tolist() == follow(end, before).tolist()


def test_known_runs_have_rows_of_their_own_where_there_is_room():
    random = np.random.default_rng(0)
    runs = learn_runs([(random.integers(2, 9, 900), np.arange(900) // 30)], 3)
    count = int(runs.known.sum())
    assert count > 100
    rows = runs.rows(count)
    assert sorted(rows[runs.known]) == list(range(1, count + 1))
    assert not rows[~runs.known].any()
    few = runs.rows(10)[runs.known]
    assert sorted(set(few)) == list(range(1, 11))
    assert np.ptp(np.bincount(few)[1:]) <= 1
