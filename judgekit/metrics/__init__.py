"""Pure metrics of judges: benchmark protocols, steps, first-error posterior, abstention, bootstrap.

numpy only. First errors are 0-based and `None` means "no error"; whether a judge gave a verdict is a separate argument,
`judged_N`, so "no error" and "no verdict" never share a spelling. Rates are in [0, 1] and nothing is rounded;
ProcessBench is published times 100, which is done where results are written. Axis suffixes: `_N` solutions, `_S` steps
of one solution, `_K` steps of all solutions in one row, `_C` clusters, `_R` resamples or weightings, `_M` statistics,
`_V` distinct values, `_B` bins.
"""
