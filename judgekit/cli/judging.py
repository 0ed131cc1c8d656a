"""Commands that use one judge: judge, doctor, trust, serve."""

from __future__ import annotations

import argparse
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from judgekit.cli.command import JUDGE, JUDGE_HELP, Argument, Command
from judgekit.errors import ConfigError
from judgekit.judging.config import JudgingConfig
from judgekit.serving.config import ServeConfig


def _judge_and_data(args: argparse.Namespace) -> dict[str, object]:
    """Return what the options name.

    Raises:
        ConfigError: they name neither a file nor one solution, or both, or a run to continue without its folder.
    """
    if args.problem is None and args.input is None:
        raise ConfigError("give --input FILE, or --problem TEXT with --step TEXT for each step")
    if args.resume and args.output is None:
        raise ConfigError("--resume continues the run of a folder: name it with --output DIR")
    if args.problem is not None and (args.input is not None or args.output is not None):
        raise ConfigError("--problem judges one solution and prints it: leave out --input and --output")
    if args.problem is not None and not args.step:
        raise ConfigError("a solution needs steps: give --step TEXT once for each")
    return {"judge": args.judge, "data": args.input or Path()}


def _judge(args: argparse.Namespace, config: JudgingConfig) -> None:
    from judgekit.judges import load_judge
    from judgekit.judges.members import asked_members
    from judgekit.judges.shared import share_judge
    from judgekit.judges.unfamiliar import warn_unfamiliar
    from judgekit.judging.run import JUDGEMENTS, judge_file, read_solutions
    from judgekit.report.terminal import console, render_judgement
    from judgekit.types import Solution

    show = console()
    if args.problem is not None:
        solution = Solution(problem=args.problem, steps=tuple(args.step))
        judge = load_judge(args.judge, dtype=config.dtype)
        warn_unfamiliar(judge, [solution])
        show.print(render_judgement(solution, judge.judge([solution])[0], judge.info))
        return
    with share_judge(lambda: load_judge(args.judge, dtype=config.dtype)) as shared:
        if shared is None:
            return
        with nullcontext(args.output) if args.output is not None else TemporaryDirectory() as folder:
            judgements = judge_file(shared, config, Path(folder), resume=args.resume)
        info = shared.info
    # What is not written anywhere is printed whole.
    n_shown = args.show if args.show is not None else 3 if args.output is not None else len(judgements)
    for solution, judgement in list(zip(read_solutions(args.input), judgements, strict=True))[:n_shown]:
        show.print(render_judgement(solution, judgement, info))
    decided = Counter(j.verdict.decide(info.decision) for j in judgements if j.verdict is not None)
    first = [f"step {step}: {decided[step]}" for step in sorted(step for step in decided if step is not None)]
    print(f"{len(judgements)} judged, first errors by {info.judge_id}: {', '.join([f'none: {decided[None]}', *first])}")
    without = [(row, j.no_verdict) for row, j in enumerate(judgements, start=1) if j.verdict is None]
    if without:
        shown = ", ".join(f"row {row} ({reason})" for row, reason in without[:10])
        print(f"{len(without)} without a verdict: {shown}{', ...' if len(without) > 10 else ''}")
    if args.output is None:
        print("the judgements were not written to a file: --output DIR does so")
    else:
        print(f"all judgements, in the order of the rows: {args.output / JUDGEMENTS}")
    for member in asked_members(judgements):
        seconds = sum(asked.seconds for asked in member.took)
        print(f"  {member.judge_id}: {member.n_asked} judged, {member.n_answered} answered, {seconds:.1f} s")


JUDGE_SOLUTIONS = Command(
    summary="Judge a file of solutions, or one on the command line, and show it with coloured steps.",
    example='judgekit judge --judge runs/judge/judge --problem "2+3-1?" --step "2+3=6" --step "6-1=5"',
    run=_judge,
    arguments=(
        JUDGE,
        Argument("--problem", help="text of one problem"),
        Argument(
            "--step",
            action="append",
            help="one step of its solution; repeat in order; write --step=-1 if it starts with -",
        ),
        Argument("--input", "--data", type=Path, help="data set folder, parquet or JSON-lines file of solutions"),
        Argument("--output", type=Path, help="folder for judgements.jsonl; without it they are only printed"),
        Argument("--resume", action="store_true", help="continue an interrupted run"),
        Argument("--show", type=int, help="solutions of the file to print (default 3; all without --output)"),
    ),
    config=JudgingConfig,
    fixed=_judge_and_data,
)


def _doctor(args: argparse.Namespace) -> None:
    from judgekit.judges.doctor import examine, refuse_failed, store_golden, write_judge

    examination = examine(args.judge)
    for line in (*examination.about, "", *examination.example, ""):
        print(line)
    for finding in examination.findings:
        verdict = {True: "ok", False: "FAILED", None: "-"}[finding.ok]
        print(f"{verdict:6} {finding.check}: {finding.text}")
    if args.write is not None:
        print(f"judge directory: {write_judge(args.judge, args.write, examination.golden)}")
    if args.store:
        store_golden(Path(args.judge), examination.golden)
        print(f"golden scores of {len(examination.golden)} solutions stored")
    refuse_failed(examination, but=("golden scores",) if args.store else ())


DOCTOR = Command(
    summary="Show how a judge reads a solution and check that its scores are unchanged; exit status 2 if not.",
    example="judgekit doctor Qwen/Qwen2.5-Math-PRM-7B --write judges/qwen",
    run=_doctor,
    arguments=(
        Argument("judge", help=JUDGE_HELP),
        Argument("--write", type=Path, metavar="DIR", help="write a judge directory for it: judge.json, golden scores"),
        Argument("--store", action="store_true", help="store golden scores in the judge directory's judge.json"),
    ),
)


def _trust(args: argparse.Namespace) -> None:
    from judgekit.judges.recognise import trust_judge
    from judgekit.judges.trust import trusted_cards

    lines = trust_judge(args.judge)
    if not lines:
        print(f"{args.judge} has no card, and names nothing that would have to be trusted")
        return
    for line in lines:
        print(f"trusted {line}")
    print(f"trusted with their present content and place, in {trusted_cards()}: remove the line to revoke it")


TRUST = Command(
    summary="Trust a judge's card like your own: it may then name servers, environment variables and output files.",
    example="judgekit trust judges/critic  # after reading judges/critic/judge.json",
    run=_trust,
    arguments=(Argument("judge", help="judge directory, Hub id or YAML card; its members are trusted, too"),),
)


def _serve(args: argparse.Namespace, config: ServeConfig) -> None:
    from judgekit.judges import load_judge
    from judgekit.judges.base import WrappedJudge
    from judgekit.judges.stored import verdict_key

    try:
        from judgekit.serving.server import read_token, serve
    except ImportError as error:
        raise ConfigError(f"judgekit serve cannot run here ({error}): pip install 'sgpo[serve]'") from error

    read_token(config)  # before the judge is loaded, which may take minutes
    opened = load_judge(config.judge, dtype=config.dtype)
    # Clients see no files of the judge: what they may reuse of its verdicts, the service has to tell them.
    key = verdict_key(config.judge, dtype=opened.info.dtype, calibrated=True, info=opened.info)
    judge = WrappedJudge(opened, replace(opened.info, verdict_key=key))
    serve(judge, config, announce=lambda url: print(f"serving {judge.info.judge_id} on {url}", flush=True))
    print("stopped; everything accepted was answered", flush=True)


SERVE = Command(
    summary="Serve a judge over HTTP, for training on other machines; stops cleanly on SIGTERM and Ctrl-C.",
    example="JUDGEKIT_TOKEN=... judgekit serve --judge DIR --host 0.0.0.0 token_env=JUDGEKIT_TOKEN max_batch=32",
    run=_serve,
    arguments=(
        Argument("--judge", help=JUDGE_HELP),
        Argument("--host", help="address to listen on (default 127.0.0.1); any other needs token_env"),
        Argument("--port", type=int, help="port (default 8571); 0 picks a free one"),
    ),
    config=ServeConfig,
    fixed=lambda args: {name: vars(args)[name] for name in ("judge", "host", "port") if vars(args)[name] is not None},
)
