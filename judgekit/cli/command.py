"""Commands and how they run: parse the line, read the configuration, report an error in one line.

Commands are found by name in a table, and by the entry points of installed packages. Your package adds one to
`judgekit` with a `Command` in a module of its own and, in its `pyproject.toml`:

    [project.entry-points."judgekit.commands"]
    hello = "my_package.commands:HELLO"

The module should import heavy dependencies when the command runs, not before: `judgekit --help` imports it.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar, cast, get_origin

from judgekit.cli.options import render_options
from judgekit.config import BaseConfig, load_config, read_settings
from judgekit.errors import ConfigError, JudgeError, JudgekitError
from judgekit.extensions import Registry, resolve
from judgekit.version import VERSION

ConfigT = TypeVar("ConfigT", bound=BaseConfig)


class Argument:
    """One argument of a command, as `argparse.ArgumentParser.add_argument` takes it."""

    def __init__(self, *names: str, **options: Any) -> None:
        self.names = names
        self.options = options


JUDGE_HELP = "judge directory, public checkpoint, Hub id, YAML card, http://HOST:PORT or builtin:NAME"
JUDGE = Argument("--judge", required=True, help=JUDGE_HELP)
"""Anything that `load_judge` opens."""
OUTPUT = (
    Argument("--output", type=Path, required=True, help="output folder; refused if it is in use"),
    Argument("--resume", action="store_true", help="continue an interrupted run; a finished one is left unchanged"),
)
"""The folder of a run."""


@dataclass(frozen=True)
class Command:
    """A command: what it takes, what its help says and what it runs."""

    summary: str
    """One sentence for the list of commands and the head of its own help."""
    example: str
    """A line that can be typed."""
    run: Callable[..., None]
    """Called with the parsed arguments and, where the command has a configuration, with that."""
    arguments: Sequence[Argument] = ()
    """What is given by options and places on the line."""
    config: (
        type[BaseConfig] | Mapping[str, type[BaseConfig]] | Callable[[argparse.Namespace], type[BaseConfig]] | None
    ) = None
    """The configuration that a YAML file and `key=value` make: its class, several classes by the `kind` that is asked
    for (the first where none is), or a function that finds the class by the arguments. `None` takes neither."""
    fixed: Callable[[argparse.Namespace], Mapping[str, object]] = lambda _: {}
    """Values of the configuration that arguments give; they win over the file."""

    def parser(self, prog: str) -> argparse.ArgumentParser:
        """Return the parser of the line behind the command's name."""
        parser = argparse.ArgumentParser(
            prog=prog,
            description=self.summary,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            add_help=False,
        )
        parser.add_argument("-h", "--help", action=_Help, nargs=0, const=self, help="show this help and exit")
        for argument in self.arguments:
            parser.add_argument(*argument.names, **argument.options)
        if self.config is not None:  # behind any other argument that is known by its place
            parser.add_argument(
                "settings",
                nargs="*",
                metavar="CONFIG.yaml | key=value",
                help="a YAML file, then key=value or --key value for single settings (lr=1e-5, data.n_max=null)",
            )
        return parser

    def parse(self, prog: str, argv: Sequence[str]) -> argparse.Namespace:
        """Parse; settings may stand before and after the options, which argparse alone refuses."""
        parser = self.parser(prog)
        args, rest = parser.parse_known_args(self._in_one_manner(argv))
        if rest and (self.config is None or any(item.startswith("-") for item in rest)):
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
        if self.config is not None:
            # What stands behind `--benchmark NAME INPUT ...` may be a setting, which argparse takes for one more input.
            for group in (group for given in vars(args).values() if isinstance(given, list) for group in given):
                if isinstance(group, list):
                    rest += [item for item in group[1:] if _is_setting(item)]
                    group[1:] = [item for item in group[1:] if not _is_setting(item)]
            args.settings = [*args.settings, *rest]
        return args

    def _in_one_manner(self, argv: Sequence[str]) -> list[str]:
        """Let an option be given as a setting (`judge=DIR`), and a setting as an option (`--seed 1`, `--data DIR`).

        A setting that is a list takes an option for each of its values.

        Raises:
            ConfigError: two values of what has one, or none.
        """
        flags = {name: argument for argument in self.arguments for name in argument.names if name.startswith("--")}
        takes_value = {
            name: argument.options.get("nargs") is None and argument.options.get("action", "append") == "append"
            for name, argument in flags.items()
        }
        types: list[type[BaseConfig]] = [self.config] if isinstance(self.config, type) else []
        if isinstance(self.config, Mapping):  # where kinds share a key: that of the kind that is given, or of the first
            asked = next((item.removeprefix("kind=") for item in argv if item.startswith("kind=")), "")
            types = [*reversed([*self.config.values()]), *([self.config[asked]] if asked in self.config else [])]
        fields = {name: field.annotation for config in types for name, field in config.model_fields.items()}
        single, as_option, lists = dict[str, str](), dict[str, str](), dict[str, list[str]]()
        as_setting = set[str]()

        def keep(values: dict[str, str], name: str, value: str) -> None:
            if values.setdefault(name, value) != value:
                raise ConfigError(f"{name} is given twice, {values[name]} and {value}: leave one out")

        found, items = list[str](), iter(argv)
        for item in items:
            name, equals, value = item.removeprefix("--").partition("=")
            key, is_option = name.replace("-", "_"), item.startswith("--")
            if (
                is_option
                and key.partition(".")[0] in fields
                and not any(flag.startswith(f"--{name}") for flag in flags)
            ):
                value = value if equals else next(items, "")
                if not equals and (not value or value.startswith("--")):
                    raise ConfigError(f"{item} has no value: write {item} VALUE, or {key}=VALUE")
                if get_origin(fields.get(key)) in (tuple, list) and not value.startswith("["):
                    lists.setdefault(key, []).append(value)
                else:
                    keep(as_option, key, value)
            elif takes_value.get(f"--{name}") and (is_option or equals):
                # what follows an option is its value, whatever it looks like
                values = [value] if equals else [*islice(items, 1)]
                found += [f"--{name}={value}"] if equals else [item, *values]
                if values and "action" not in flags[f"--{name}"].options:
                    keep(single, flags[f"--{name}"].names[0], values[0])
            else:
                found.append(item)
                as_setting |= {name} if equals and not is_option else set()
        for key in sorted(as_setting & (as_option.keys() | lists.keys()) | as_option.keys() & lists.keys()):
            raise ConfigError(f"{key} is given twice, as an option and as a setting: leave one out")
        # At the end, where no argument that is known by its place takes them.
        as_option |= {key: json.dumps(values) for key, values in lists.items()}
        return [*found, *(f"{key}={value}" for key, value in as_option.items())]

    def config_types(self, args: argparse.Namespace) -> dict[str, type[BaseConfig]]:
        """Return the classes of configuration by `kind`; a single one is called by no name.

        Raises:
            ConfigError: the arguments do not say which.
        """
        if isinstance(self.config, Mapping):
            return dict(self.config)
        if self.config is None or isinstance(self.config, type):
            return {} if self.config is None else {"": self.config}
        return {"": self.config(args)}

    def read_config(self, args: argparse.Namespace) -> BaseConfig:
        """Return the configuration that file, settings and arguments make.

        Raises:
            ConfigError: a setting is what an argument gives, or see `settings_config`.
        """
        types = self.config_types(args)
        kind = next(iter(types))
        if kind:
            file, overrides = split_settings(args.settings)
            asked = read_settings(file, overrides=overrides).get("kind", kind)
            if asked not in types:
                raise ConfigError(f"kind {asked!r} is not one of {', '.join(types)}: write one of these")
            kind = asked
        fixed = self.fixed(args)
        for setting in split_settings(args.settings)[1]:
            name = setting.partition("=")[0].partition(".")[0]
            if fixed.get(name) is not None:
                raise ConfigError(f"{name} is given by an argument, and {setting} gives it again: leave one out")
        return settings_config(types[kind], args.settings, fixed=fixed)


class _Help(argparse.Action):
    """Prints a command's help, all that its configuration may hold included, and ends the program."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, *_: object) -> None:
        command = cast(Command, self.const)
        try:
            types = command.config_types(namespace)
            parts = [f"The default is kind={next(iter(types))}.\n"] if len(types) > 1 else []
            parts += [render_options(config, kind=kind) for kind, config in types.items()]
        except ConfigError as error:  # which configuration depends on an argument that is not given
            parts = [f"settings:\n  {error}\n"]
        parser.epilog = "\n".join([*parts, f"example:\n  {command.example}"])
        parser.print_help()
        parser.exit()


def run_program(name: str, description: str, commands: Registry[Command], argv: Sequence[str] | None) -> int:
    """Run the command that a line names; our own errors become one line on stderr. Returns the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        if argv[:1] == ["--version"]:
            print(f"{name} {VERSION}")
            return 0
        if not argv or argv[0] in ("-h", "--help", "help"):
            print(_list_commands(name, description, commands), file=sys.stdout if argv else sys.stderr)
            return 0 if argv else 2
        command = commands.load(argv[0])
        args = command.parse(f"{name} {argv[0]}", argv[1:])
        logging.basicConfig(level=logging.INFO, format="%(message)s")
        for library in ("httpx", "httpx2", "huggingface_hub", "datasets", "transformers"):
            logging.getLogger(library).setLevel(logging.WARNING)
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        if not sys.stderr.isatty():  # the bars of libraries, which fill a log; ours are lines there
            os.environ.setdefault("TQDM_DISABLE", "1")
        if command.config is None:
            command.run(args)
        else:
            command.run(args, command.read_config(args))
    except (JudgekitError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; finished work is kept, continue with --resume", file=sys.stderr)
        return 130
    return 0


def _list_commands(name: str, description: str, commands: Registry[Command]) -> str:
    usage = f"usage: {name} COMMAND ... | --help | --version"
    lines = [usage, "", description, "", f"commands ({name} COMMAND --help shows more):"]
    for command, found in commands.load_all().items():
        summary = f"error: {found}" if isinstance(found, ConfigError) else found.summary
        lines += textwrap.wrap(summary, 100, initial_indent=f"  {command:<16}", subsequent_indent=" " * 18)
    return "\n".join(lines)


def _is_setting(item: str) -> bool:
    """Tell a setting from the path of an input: `key=value`, or a configuration in YAML."""
    key, equals, _ = item.partition("=")
    return (
        not Path(item).exists() and key.replace(".", "").isidentifier() if equals else item.endswith((".yaml", ".yml"))
    )


def split_settings(settings: Sequence[str]) -> tuple[Path | None, list[str]]:
    """Tell the configuration file among the settings from the overrides.

    A path may hold `=`, as folders named after their options do. `seed=1` stays an override where something has written
    a file of that name.

    Raises:
        ConfigError: there are two files.
    """

    def is_file(item: str) -> bool:
        key, equals, _ = item.partition("=")
        is_config = Path(item).suffix.lower() in {".yaml", ".yml", ".json"} and Path(item).is_file()
        return not equals or "/" in key or is_config

    files = [item for item in settings if is_file(item)]
    if len(files) > 1:
        raise ConfigError(f"give one configuration file, not {', '.join(files)}; write options as key=value")
    return Path(files[0]) if files else None, [item for item in settings if item not in files]


def settings_config(
    config_type: type[ConfigT], settings: Sequence[str], *, fixed: Mapping[str, object] | None = None
) -> ConfigT:
    """Read the positional settings: at most one YAML file, and overrides; `fixed` values win.

    Raises:
        ConfigError: two files, or see `load_config`.
    """
    file, overrides = split_settings(settings)
    return load_config(config_type, file, overrides=overrides, fixed=fixed)


def build_if_raw(given: Path, *, source: str, output: Path, resume: bool) -> Path:
    """Return a data set, or a file of stored records, as it is; what is raw is built by its source first.

    Args:
        given: What a user named: a file, a folder or a Hub id.
        source: Name of the source that reads raw rows.
        output: Folder below which the data set is built.
        resume: Whether a build that was interrupted goes on.

    Raises:
        ConfigError: there is no such source, and the rows are not stored records; says how they become some.
        DataError: the input cannot be read or gives no row.
    """
    # By name: nothing in judgekit may import the package that builds data.
    build = cast("Callable[..., Path]", resolve("judgekit_datasets.build:build_if_raw"))
    return build(given, source=source, output=output, resume=resume)


def raise_failed(lines: Sequence[str], *, n_judges: int) -> None:
    """End a command whose work is done but for judges that failed.

    Raises:
        JudgeError: there are some.
    """
    if lines:
        raise JudgeError(
            f"{len(lines)} of {n_judges} judges failed: {'; '.join(lines)}. The results of the others are written; run "
            "again with --resume for the failed ones"
        )
