import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.templates import Templates

Add = Callable[..., Path]


@pytest.fixture(scope="session")
def templates() -> Templates:
    return Templates.load()


@pytest.fixture
def add(tmp_path: Path) -> Add:
    """Puts the template `echo`, with the changes asked for, into an empty library; gives the library."""

    def _add(prompt: str = "{{ inputs | data }}", name: str = "echo", **changes: Any) -> Path:
        schema = {
            "type": "object",
            "additionalProperties": False,
            "properties": {"text": {"type": "string", "maxLength": 9}, "tone": {"enum": ["warm", "dry"]}},
            "required": ["text"],
            "examples": [{"text": "hello"}],
        }
        folder = tmp_path / name
        folder.mkdir()
        (folder / "inputs.schema.json").write_text(json.dumps(schema | changes), "utf-8")
        (folder / "prompt.jinja").write_text(prompt, "utf-8")
        return tmp_path

    return _add
