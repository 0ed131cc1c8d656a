"""The command that serves a judge over HTTP."""

from __future__ import annotations

import argparse
from typing import Any

from judgekit.cli.command import JUDGE_HELP, add_command, settings_config
from judgekit.errors import ConfigError


def add_serving_commands(commands: Any) -> None:
    """Declare it."""
    parser = add_command(
        commands,
        "serve",
        _serve,
        summary="Serve a judge over HTTP, for training on other machines; ends in order on SIGTERM and Ctrl-C.",
        example="JUDGEKIT_TOKEN=... judgekit serve --judge DIR --host 0.0.0.0 token_env=JUDGEKIT_TOKEN max_batch=32",
    )
    parser.add_argument("--judge", help=JUDGE_HELP)
    parser.add_argument("--host", help="address to listen on (default 127.0.0.1); others need token_env")
    parser.add_argument("--port", type=int, help="port (default 8571); 0 takes a free one")


def _serve(args: argparse.Namespace) -> None:
    from judgekit.judges import load_judge
    from judgekit.serving.config import ServeConfig

    try:
        from judgekit.serving.server import read_token, serve
    except ImportError as error:
        raise ConfigError(f"judgekit serve cannot run here ({error}): pip install 'judgekit[serve]'") from error

    given = {"judge": args.judge, "host": args.host, "port": args.port}
    fixed = {name: value for name, value in given.items() if value is not None}
    config = settings_config(ServeConfig, args.settings, fixed=fixed)
    read_token(config)  # before the judge is loaded, which may take minutes
    judge = load_judge(config.judge, dtype=config.dtype)
    serve(judge, config, announce=lambda url: print(f"serving {judge.judge_id} on {url}", flush=True))
    print("stopped; everything accepted was answered", flush=True)


__all__ = ["add_serving_commands"]
