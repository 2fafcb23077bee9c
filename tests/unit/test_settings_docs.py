"""docs/settings.md has every variable of every service, with its default and its readers, and no other."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic.fields import FieldInfo

from common.settings import Settings
from gateway.settings import GatewaySettings
from gpt_worker.settings import WorkerSettings
from result_reader.settings import ReaderSettings

PAGE = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
SERVICES: dict[str, type[Settings]] = {"g": GatewaySettings, "w": WorkerSettings, "r": ReaderSettings}
ROW = re.compile(
    r"^\| `(?P<name>[A-Z_]+)` \| (?P<default>.*?) \| (?P<bounds>.*?) \| (?P<readers>[gwr ]+) \|", re.MULTILINE
)
ROWS = {row["name"]: row for row in ROW.finditer(PAGE)}
# What stands in the column of defaults where there is no value to show.
NO_VALUE = {"none": (None, ()), "the OpenAI API": (None,)}


def fields() -> dict[str, FieldInfo]:
    return {name.upper(): field for service in SERVICES.values() for name, field in service.model_fields.items()}


def is_said(default: Any, text: str) -> bool:
    if text in NO_VALUE:
        return default in NO_VALUE[text]
    if isinstance(default, bool):
        return text == f"`{str(default).lower()}`"
    return text == (f"`{default:g}`" if isinstance(default, int | float) else f"`{default}`")


def test_every_variable_is_there_and_no_other() -> None:
    assert set(ROWS) == set(fields())


def test_each_variable_is_there_once() -> None:
    names = [row["name"] for row in ROW.finditer(PAGE)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", sorted(ROWS))
def test_its_readers_are_those_that_have_it(name: str) -> None:
    readers = [letter for letter, service in SERVICES.items() if name.lower() in service.model_fields]
    assert ROWS[name]["readers"].split() == readers


@pytest.mark.parametrize("name", sorted(ROWS))
def test_its_default_is_the_one_in_the_code(name: str) -> None:
    field, default = fields()[name], ROWS[name]["default"]
    if default == "required unless `OPENAI_BASE_URL` is set":
        assert field.default == ()
    elif default == "required":
        assert field.is_required()
    else:
        assert is_said(field.default, default)


def test_the_examples_set_what_exists() -> None:
    examples = PAGE.partition("## Examples")[2]
    names = re.findall(r"^([A-Z_]+)=", examples, re.MULTILINE)
    assert names
    assert set(names) <= set(ROWS)
