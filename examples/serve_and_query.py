"""Serve a judge in a process of its own and ask it over HTTP, as training on another machine would.

python examples/serve_and_query.py builtin:symbolic
"""

import subprocess
import sys

from judgekit import Solution, load_judge


def main(judge_name: str) -> None:
    """Start `judgekit serve` on a free port, ask it about one solution and end it."""
    command = [sys.executable, "-m", "judgekit.cli", "serve", "--judge", judge_name, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            address = server.stdout.readline().split()[-1]  # serving NAME on http://127.0.0.1:PORT
            judge = load_judge(address)  # a judge like any other: for `evaluate`, SGPO, ensembles
            [judgement] = judge.judge([Solution(problem="2+3-1?", steps=("2+3=6", "6-1=5"))])
            print(f"{judge.info.judge_id} says {judgement.verdict.decide(judge.info.decision)}")
        finally:
            server.terminate()  # what it has accepted it answers first


if __name__ == "__main__":
    main(*sys.argv[1:])
