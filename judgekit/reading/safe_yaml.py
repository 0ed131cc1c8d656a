"""Reads YAML from untrusted sources: no objects, and no more values than a person writes.

YAML can name a value once and use it again (`&name`, `*name`). A few lines that use each other ten times can stand for
more values than fit into memory, and code that copies, checks or prints them would never end.
"""

from __future__ import annotations

from typing import Any

import yaml

from judgekit.errors import shorten

MAX_VALUES = 200_000
"""Values that a document may stand for, each counted as often as it is used."""


def load_yaml(text: str) -> Any:
    r"""Return the plain values of a document; `None` if it is empty.

    Raises:
        ValueError: it is no YAML, holds objects, stands for more than `MAX_VALUES` values or for itself, is nested
            deeper than Python can follow, or holds a number or date that there is not.

    Example:
        >>> load_yaml("a: &x [1, 2]\nb: *x")
        {'a': [1, 2], 'b': [1, 2]}
    """
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        _refuse_bomb(root)
        return loader.construct_document(root)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    finally:
        loader.dispose()


def check_yaml(text: str) -> None:
    """Refuse a document that another reader must not be given, since it writes out what aliases stand for.

    Raises:
        ValueError: it stands for more than `MAX_VALUES` values, or for itself.
        yaml.YAMLError: it is no YAML.
        RecursionError: it is nested deeper than Python can follow.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if root is not None:
        _refuse_bomb(root)


def _refuse_bomb(root: yaml.Node) -> None:
    n_values: dict[int, int] = {}  # by node, 0 while its parts are being counted
    stack = [root]
    while stack:
        node = stack[-1]
        if n_values.get(id(node)):
            stack.pop()
            continue
        parts = _parts(node)
        if id(node) in n_values:
            n_values[id(node)] = 1 + sum(n_values[id(part)] for part in parts)
            if n_values[id(node)] > MAX_VALUES:
                raise ValueError(f"its aliases stand for more than {MAX_VALUES} values: write them out, or fewer")
            continue
        n_values[id(node)] = 0
        for part in parts:
            if n_values.get(id(part)) == 0:
                raise ValueError(f"the value {shorten(getattr(part, 'anchor', None) or part.tag)} contains itself")
            stack.append(part)


def _parts(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []
