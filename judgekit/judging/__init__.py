"""Runs a judge over a file of solutions, chunk by chunk: `judgekit judge`, and all that judges many solutions."""
