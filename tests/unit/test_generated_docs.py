"""The documents say what the code does: generated ones are current, examples and tables hold, links lead on."""

import base64
import importlib.util
import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from common import messages
from common.errors import MEANINGS
from common.ids import JobIds
from common.messages import Message
from gpt_worker.failures import CLASSES
from gpt_worker.outcomes import ACTIONS, Then

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
MESSAGE_SCHEMA: dict[str, Any] = json.loads((DOCS / "message.schema.json").read_text(encoding="utf-8"))


def text_of(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def rows(text: str) -> list[list[str]]:
    """The cells of every table."""
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line.startswith("| ")
    ]


@pytest.fixture(scope="module", name="generator")
def _generator() -> ModuleType:
    """docs/generate.py, which is in no package."""
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_generated_documents_are_current(generator: ModuleType) -> None:
    documents: dict[Path, Any] = generator.documents()
    assert {path.name for path in documents} == {"openapi.json", "message.schema.json"}
    for path, document in documents.items():
        assert path.read_text(encoding="utf-8") == generator.text(document), f"{path.name}: run docs/generate.py"


def test_the_schemas_are_schemas() -> None:
    Draft202012Validator.check_schema(MESSAGE_SCHEMA)
    openapi = json.loads((DOCS / "openapi.json").read_text(encoding="utf-8"))
    for schema in openapi["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


EXAMPLES = blocks(text_of("messages.md"), "json")


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_a_message_is_valid_by_the_schema_and_by_the_code(example: str) -> None:
    Draft202012Validator(MESSAGE_SCHEMA).validate(json.loads(example))
    assert messages.decode(Message(example.encode())).job_id


def test_the_examples_hold_every_form() -> None:
    names = {name for example in EXAMPLES for name in json.loads(example)}
    assert names == set(MESSAGE_SCHEMA["properties"])


def test_the_ids_to_check_against_are_what_we_mint(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {
        row[0]: [cell.strip("`") for cell in row[1:]] for row in rows(text_of("messages.md").partition("To check")[2])
    }
    randoms = iter(bytes.fromhex(text) for text in table["random"])
    monkeypatch.setattr(secrets, "token_bytes", lambda _: next(randoms))
    for column, client in enumerate(["", "alice"]):
        milliseconds = int(table["milliseconds"][column])
        job_id = JobIds([table["key"][column]]).mint(client, milliseconds / 1000)
        assert job_id == table["id"][column]
        raw = bytes.fromhex(table["all 20 bytes"][column])
        assert (raw[:6], raw[14:].hex()) == (milliseconds.to_bytes(6), table["proof"][column])
        assert base64.b32encode(raw).decode() == job_id.removeprefix("job_")


def test_every_error_code_is_told_with_its_status() -> None:
    request, job = text_of("api.md").split("In a failed job", 1)
    told = {}
    for row in rows(request.partition("## Errors")[2]):
        if len(row) == 5 and row[1].isdigit():
            told[row[0].strip("`")] = (row[2] == "yes", int(row[1]))
    assert told == {code: (m.retryable, m.http_status) for code, m in MEANINGS.items() if code in told}
    in_jobs = {row[0].strip("`"): row[1] == "yes" for row in rows(job) if len(row) == 4 and row[1] in ("yes", "no")}
    assert in_jobs == {code: MEANINGS[code].retryable for code in MEANINGS if code in in_jobs}
    assert set(told) | set(in_jobs) == set(MEANINGS)


def test_the_table_of_outcomes_is_the_one_in_the_code() -> None:
    text = text_of("architecture.md").partition("## What becomes of a delivery")[2].partition("\n#")[0]
    told = {row[0].strip("`"): row[2:] for row in rows(text)[1:]}
    yes = {True: "yes", False: "–"}
    assert told == {
        outcome: [
            action.send_to.value if action.send_to else "–",
            yes[action.save],
            yes[action.reply],
            yes[action.release],
            "acknowledge" if action.then is Then.ACKNOWLEDGE else "give back",
        ]
        for outcome, action in ACTIONS.items()
    }


def test_the_table_of_failures_is_the_one_in_the_code() -> None:
    text = text_of("architecture.md").partition("### What the upstream does")[2].partition("\n#")[0]
    told = {row[0].strip("`"): (row[2].strip("`"), *row[3:]) for row in rows(text)[1:]}
    yes = {True: "yes", False: "–"}
    assert told == {
        failure: (found.code, yes[found.is_transient], yes[found.blames_key]) for failure, found in CLASSES.items()
    }


def _links() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if not re.match(r"[a-z]+:", target):
                yield page, target


@pytest.mark.parametrize(("page", "target"), list(_links()), ids=lambda value: getattr(value, "name", value))
def test_a_link_leads_somewhere(page: Path, target: str) -> None:
    path, _, anchor = target.partition("#")
    found = (page.parent / path).resolve() if path else page
    assert found.exists()
    if anchor:
        headings = re.findall(r"^#+ (.*)$", found.read_text(encoding="utf-8"), re.MULTILINE)
        assert anchor in [_anchor(heading) for heading in headings]


def _anchor(heading: str) -> str:
    """As git hosts make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
