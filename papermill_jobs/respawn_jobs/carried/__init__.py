"""The files that a version carries beside its notebook: found, packed, laid out for its runs, compared.

A version that carries files is whole: its runs work in a directory of their own, in which these files lie
and nothing else of the person's. So a run at night has what was promoted, whatever became of the files
since, and on whatever machine it executes. Which cells depend on which file is not told here: see `resume`.
"""
