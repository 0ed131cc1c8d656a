"""Names that stand for code: a table for ours, entry points of installed packages for others.

Judge kinds, commands, data sources, benchmarks and algorithms each have a `Registry`. Nothing is imported before it is
used. A package of your own adds to one in its `pyproject.toml`:

    [project.entry-points."judgekit.sources"]
    my-data = "my_package.my_data:SOURCE"
"""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import sys
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, cast

from judgekit.errors import ConfigError, boundary, shorten

T = TypeVar("T")


def resolve(target: str) -> object:
    """Import what `module:attribute` names."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def lazily(package: str, exports: Mapping[str, str]) -> Callable[[str], object]:
    """Return a package's `__getattr__`, which imports what it exports when that is first asked for (PEP 562).

    Args:
        package: Name of the package.
        exports: Name -> `module:attribute`.
    """

    def __getattr__(name: str) -> object:  # noqa: N807 - it becomes one
        if name not in exports:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = resolve(exports[name])
        setattr(sys.modules[package], name, value)
        return value

    return __getattr__


class Registry(Generic[T]):
    """What can be asked for by name, of one group.

    Args:
        group: Entry-point group that installed packages add to, for example `judgekit.sources`.
        noun: What one of them is called in a message, for example `data source`.
        of: What its values are instances of, or classes below: what others add is held to it.
        own: Name -> `module:attribute` of what comes with the project. An installed package cannot replace these.
        hyphens: Whether underscores and capitals count as hyphens and small letters, in names that are requested and in
            those that others add.

    Example:
        >>> registry = Registry("judgekit.examples", noun="example", of=float, own={"pi": "math:pi"})
        >>> registry.load("pi")
        3.141592653589793
        >>> registry.load("pie")
        Traceback (most recent call last):
        judgekit.errors.ConfigError: unknown example 'pie'; did you mean 'pi'? (known: pi)
    """

    def __init__(
        self,
        group: str,
        *,
        noun: str,
        of: type[Any] | tuple[type[Any], ...],
        own: Mapping[str, str],
        hyphens: bool = False,
    ) -> None:
        self.group = group
        self.noun = noun
        self._of = of if isinstance(of, tuple) else (of,)
        self._hyphens = hyphens
        self._own = dict(own)
        self._added: dict[str, T] = {}

    def add(self, name: str, value: T) -> None:
        """Make a name known to this process, as an entry point would; for programs and notebooks.

        Raises:
            ConfigError: the name is taken, or the value is something else.
        """
        if name in self:
            raise ConfigError(f"the {self.noun} {name!r} exists already: choose another name")
        self._added[self._spelled(name)] = self._checked(value, who="this program adds", name=name)

    def names(self) -> list[str]:
        """Return all names in order: the project's own, then those of other packages."""
        return [*self._own, *sorted({*self._added, *self._installed()} - self._own.keys())]

    def targets(self) -> dict[str, str]:
        """Return name -> `module:attribute` for all that has one; for lists that import nothing."""
        return {name: point.value for name, point in self._installed().items()} | self._own

    def __contains__(self, name: object) -> bool:
        key = self._spelled(str(name))
        return key in self._own or key in self._added or key in self._installed()

    def load(self, name: str) -> T:
        """Import what a name stands for.

        Raises:
            ConfigError: there is none of that name (says the nearest), or the package that adds it cannot be imported
                or names something else.
        """
        name = self._spelled(name)
        if name in self._own:
            return cast(T, resolve(self._own[name]))
        if name in self._added:
            return self._added[name]
        point = self._installed().get(name)
        if point is None:
            near = difflib.get_close_matches(name, self.names(), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"unknown {self.noun} {name!r}{hint} (known: {', '.join(self.names())})")
        package = point.dist.name if point.dist is not None else "an installed package"
        with boundary(ConfigError, f"{package} adds the {self.noun} {name!r}, but it cannot be imported"):
            try:
                value = point.load()
            except SystemExit as error:  # a script without a main guard, which would end this program without a word
                raise ImportError(f"{point.value} ends the program with status {error.code}") from error
        return self._checked(value, who=f"{package} adds", name=name)

    def load_all(self) -> dict[str, T | ConfigError]:
        """Import all, by name; what cannot be imported is an error in its place: one broken package hides no other."""
        found: dict[str, T | ConfigError] = {}
        for name in self.names():
            try:
                found[name] = self.load(name)
            except ConfigError as error:
                found[name] = error
        return found

    def _checked(self, value: object, *, who: str, name: str) -> T:
        if not isinstance(value, self._of) and not (isinstance(value, type) and issubclass(value, self._of)):
            wanted = " or ".join(of.__name__ for of in self._of)
            raise ConfigError(f"{who} the {self.noun} {name!r}, but it is no {wanted}: {shorten(value)}")
        return cast(T, value)

    def _installed(self) -> dict[str, importlib.metadata.EntryPoint]:
        # Read at every call: it takes a millisecond, and a notebook may have installed something in the meantime.
        # Two packages with one name: the first in the order of their targets, the same in every process.
        points = sorted(importlib.metadata.entry_points(group=self.group), key=lambda point: point.value, reverse=True)
        return {self._spelled(point.name): point for point in points}

    def _spelled(self, name: str) -> str:
        return name.replace("_", "-").lower() if self._hyphens else name
