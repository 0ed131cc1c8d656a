"""Labelling by hand: `judgekit label` in a terminal or on a local page; every decision is saved before the next."""
