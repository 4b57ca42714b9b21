"""The engine beside what the frameworks ship: time, correctness first; a table, and a figure.

plan       what is timed, and the floors
problem    one case's data and weights, the same for everybody
plain      the cells as anybody would write them, for a loop in torch and for JAX
ours, peers/  who computes a case
timing     interleaved repeats, medians and quartiles
measures/  what is not a ratio of two layers: a step, a trace, compiling, memory, numerics
jobs       what is asked for, as work for processes
child      one process for one peer and one number of threads
results, table, figure   what is kept, and how it is shown

Run it with `make bench`, or `python -m bench.engine --help`.
"""
