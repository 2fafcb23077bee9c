"""All templates that are served, by name."""

import copy
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import JsonValue

from common.templates.inputs import InvalidTemplate
from common.templates.template import BrokenTemplate, RenderedMessage, Template, read_template

LIBRARY = Path(__file__).parent / "library"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class Templates:
    """A folder of templates, read once."""

    def __init__(self, templates: Mapping[str, Template]) -> None:
        self._templates = templates

    @classmethod
    def load(cls, folder: Path | None = None) -> Self:
        """The templates of the folder (by default the packaged ones); raises BrokenTemplate for a bad one."""
        folder = folder or LIBRARY
        # A mounted ConfigMap brings folders of its own, whose names begin with a dot.
        found = sorted(path for path in folder.glob("[!.]*") if path.is_dir())
        if not found:
            raise BrokenTemplate(f"no template in {folder}")
        for path in found:
            if not _NAME.fullmatch(path.name):
                raise BrokenTemplate(f"template {path.name!r}: the name must match {_NAME.pattern}")
        return cls({path.name: read_template(path) for path in found})

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._templates)

    def schema(self, name: str) -> dict[str, Any]:
        """A copy of the JSON schema of the template's inputs; raises InvalidTemplate (`template`)."""
        return copy.deepcopy(self._named(name).schema)

    def render(self, name: str, inputs: Mapping[str, JsonValue]) -> tuple[RenderedMessage, ...]:
        """The messages for these inputs, system first; raises InvalidTemplate.

        Inputs once accepted stay accepted, and give the same messages on any day and in any process.
        """
        return self._named(name).render(inputs)

    def _named(self, name: str) -> Template:
        if name not in self._templates:
            raise InvalidTemplate("template", f"must be one of {', '.join(self.names)}")
        return self._templates[name]
