"""Writes the documents that are made from the code: `make docs`. A test says when they are out of date."""

import json
from pathlib import Path
from typing import Any

from common import message_schema
from common.templates import Templates
from gateway import openapi as gateway
from result_reader import openapi as result_reader

HERE = Path(__file__).parent
LOCAL = {"gateway": "http://127.0.0.1:8080", "result-reader": "http://127.0.0.1:8081"}


def openapi() -> dict[str, Any]:
    """One document of both services, as they stand side by side behind an ingress."""
    parts = {"gateway": gateway.document(Templates.load()), "result-reader": result_reader.document()}
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for service, part in parts.items():
        for path, operations in part["paths"].items():
            described = {"description": f"Served by the {service}, locally", "url": LOCAL[service]}
            paths[path] = {"servers": [{"description": "behind one host", "url": "/"}, described], **operations}
        schemas |= part["components"]["schemas"]
    info = {"title": "gpt-jobs", "version": "1", "description": "Prompts as jobs that never get lost."}
    components = {**parts["gateway"]["components"], "schemas": schemas}
    return {**parts["gateway"], "info": info, "paths": paths, "components": components}


def documents() -> dict[Path, dict[str, Any]]:
    """Every generated document by its path."""
    return {HERE / "openapi.json": openapi(), HERE / "message.schema.json": message_schema.schema()}


def text(document: dict[str, Any]) -> str:
    """The document as it is written."""
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


if __name__ == "__main__":
    for path, document in documents().items():
        path.write_text(text(document), encoding="utf-8")
