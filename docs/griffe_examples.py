"""Lets the API pages show `Example:` sections of docstrings as code: griffe knows the plural alone."""

import re
from typing import Any

import griffe


class Examples(griffe.Extension):
    """Renames the sections."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rename those of one object."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub(r"(?m)^Example:$", "Examples:", obj.docstring.value)
