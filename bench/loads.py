"""Lua for wrk: what it asks. Every connection goes over many different requests in turn."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

HEADERS = {"Content-Type": "application/json"}


def posts(path: str, bodies: Sequence[Mapping[str, Any]]) -> str:
    """`POST path` with each of the bodies in turn."""
    return _in_turn("POST", [(path, json.dumps(body, ensure_ascii=False)) for body in bodies])


def gets(paths: Sequence[str]) -> str:
    """`GET` of each of the paths in turn."""
    return _in_turn("GET", [(path, "") for path in paths])


def _in_turn(method: str, requests: Sequence[tuple[str, str]]) -> str:
    """The requests are put together before the load begins, so that wrk has little to do for each."""
    table = ",\n".join(f"{{{_quoted(path)}, {_quoted(body)}}}" for path, body in requests)
    headers = ", ".join(f"[{_quoted(name)}] = {_quoted(value)}" for name, value in HEADERS.items())
    return f"""
local asked = {{
{table}
}}
local ready, turn = {{}}, 0
init = function(args)
  for i, it in ipairs(asked) do
    local body = it[2] ~= "" and it[2] or nil
    ready[i] = wrk.format("{method}", it[1], body and {{{headers}}} or {{}}, body)
  end
end
request = function()
  turn = turn % #ready + 1
  return ready[turn]
end
"""


def _quoted(text: str) -> str:
    """As a Lua string; JSON's escapes for quotes and line ends are Lua's too."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
