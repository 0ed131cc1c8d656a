"""Families of word problems whose solutions are worked out exactly, step by step: one module a family.

A story is a function that draws numbers and words and returns a `Task`: the problem's text, the steps with what each
computes, and the answer found by another way than the steps. `judgekit_datasets.procedural.word_problems` solves
tasks, puts errors into them and checks every step with `evaluation`, which knows nothing but the text.
"""
