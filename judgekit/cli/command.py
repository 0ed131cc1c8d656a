"""What the commands of `judgekit` and `sgpo` share: declaring, parsing, running, and errors in one line."""

from __future__ import annotations

import argparse
import difflib
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from judgekit.cli.packages import claim_packages
from judgekit.config import BaseConfig, load_config
from judgekit.errors import ConfigError, JudgeError, JudgekitError, shorten

Command = Callable[[argparse.Namespace], None]
ConfigT = TypeVar("ConfigT", bound=BaseConfig)

JUDGE_HELP = "judge directory, public checkpoint, hub id, YAML card, http://HOST:PORT or builtin:NAME"
SETTINGS_HELP = "a YAML file, then key=value for single options (lr=1e-5, data.n_max=null)"


def run_command(build_parser: Callable[[], argparse.ArgumentParser], argv: Sequence[str] | None) -> int:
    """Parse, run, and turn our own errors into one line on stderr; returns the exit status."""
    try:
        claim_packages()  # before the parser: the sources that it names are read from one of them
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    args = _parse(build_parser(), argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name in ("httpx", "httpx2", "huggingface_hub", "datasets", "transformers"):
        logging.getLogger(name).setLevel(logging.WARNING)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        args.command(args)
    except JudgekitError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; finished work is kept, continue with --resume", file=sys.stderr)
        return 130
    return 0


def _parse(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse; settings may stand before and after the options, which argparse alone refuses."""
    args, rest = parser.parse_known_args(argv)
    if rest and (not hasattr(args, "settings") or any(item.startswith("-") for item in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        args.settings = [*args.settings, *rest]
    return args


def add_command(
    commands: Any,
    name: str,
    command: Command,
    *,
    summary: str,
    example: str,
    settings: bool = True,
    options: Mapping[str, str] | None = None,
) -> argparse.ArgumentParser:
    """Declare a subcommand; with `settings` it takes a YAML file and overrides.

    `options` tells in the help what can be set by `key=value`, by key: the configuration itself takes too long to load.
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=summary,
        epilog=f"{_describe(options)}example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=command)
    if settings:
        add_settings(parser)
    return parser


def _describe(options: Mapping[str, str] | None) -> str:
    if not options:
        return ""
    lines = [f"  {key:<16}{what}" for key, what in options.items()]
    return "\n".join(["key=value options:", *lines]) + "\n\n"


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Declare the positional settings, after any other positional argument."""
    parser.add_argument("settings", nargs="*", metavar="CONFIG.yaml | key=value", help=SETTINGS_HELP)


def add_judge(parser: argparse.ArgumentParser) -> None:
    """Declare `--judge`: anything that `load_judge` opens."""
    parser.add_argument("--judge", required=True, help=JUDGE_HELP)


def add_output(parser: argparse.ArgumentParser) -> None:
    """Declare `--output` and `--resume`."""
    parser.add_argument("--output", type=Path, required=True, help="folder to write; refused where it is in use")
    parser.add_argument("--resume", action="store_true", help="continue an interrupted run, or leave a finished one")


def settings_config(
    config_type: type[ConfigT], settings: Sequence[str], *, fixed: Mapping[str, object] | None = None
) -> ConfigT:
    """Read the positional settings: at most one YAML file, and overrides; `fixed` values win.

    Raises:
        ConfigError: two files, or see `load_config`.
    """
    files = [item for item in settings if _is_file(item)]
    if len(files) > 1:
        raise ConfigError(f"one configuration file is wanted, not {', '.join(files)}; write options as key=value")
    overrides = [item for item in settings if item not in files]
    return load_config(config_type, Path(files[0]) if files else None, overrides=overrides, fixed=fixed)


def _is_file(item: str) -> bool:
    """Whether a setting is the configuration file. A path may hold `=`, as folders named after their options do.

    `seed=1` stays an option where something has written a file of that name.
    """
    key, equals, _ = item.partition("=")
    is_config = Path(item).suffix.lower() in {".yaml", ".yml", ".json"} and Path(item).is_file()
    return not equals or "/" in key or is_config


def canonical(given: Path, *, source: str, output: Path, resume: bool) -> Path:
    """Return a data set, or a file of stored records, as it is.

    A raw file or folder of a source, or its hub id, is built below `output` first.

    Raises:
        ConfigError: there is no such source, and the rows are no stored records; says how they become some.
        DataError: the input cannot be read or gives no row.
    """
    from datasets_builders.build import build
    from datasets_builders.registry import is_source, source_names
    from judgekit.io import WAY_IN, field_names, holds_records

    if given.exists():
        if holds_records(given):
            return given
        if not is_source(source):
            nearest = difflib.get_close_matches(source, source_names(), n=1)
            hint = f" (did you mean {nearest[0]!r}?)" if nearest else ""
            raise ConfigError(
                f"{given} has rows with {shorten(sorted(field_names(given)))}, and no source {source!r} reads them"
                f"{hint}; {WAY_IN}"
            )
    folder = output / given.stem
    build(source, input=str(given), output=folder, resume=resume)
    return folder


def raise_failed(lines: Sequence[str], *, n_judges: int) -> None:
    """End a command whose work is done but for judges that failed.

    Raises:
        JudgeError: there are some.
    """
    if lines:
        raise JudgeError(
            f"{len(lines)} of {n_judges} judges failed: {'; '.join(lines)}. What the others said is written; --resume "
            "asks again what failed"
        )


__all__ = [
    "JUDGE_HELP",
    "SETTINGS_HELP",
    "add_command",
    "add_judge",
    "add_output",
    "add_settings",
    "canonical",
    "raise_failed",
    "run_command",
    "settings_config",
]
