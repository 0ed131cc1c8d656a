"""Families of word problems with exactly computed, step-by-step solutions: one module per family.

A story is a function that draws numbers and words and returns a `Task`: the problem's text, the steps with what each
computes, and the answer computed in another way than the steps. `judgekit_datasets.procedural.word_problems` solves
tasks, adds errors and checks every step with `evaluation`, which knows only the text.
"""
