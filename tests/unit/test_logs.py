"""What a service prints: a JSON document a line, and nothing that anyone wants to keep to himself."""

import json
import subprocess
import sys
import textwrap
from typing import Any

BEGIN = """
    import logging, structlog
    from common import logs
    logs.configure("a-service", "INFO")
    log = structlog.get_logger()
"""


def logged(program: str) -> list[dict[str, Any]]:
    """The lines that a program prints; in a process of its own, since logging is configured for a whole process."""
    source = textwrap.dedent(BEGIN) + textwrap.dedent(program)
    done = subprocess.run([sys.executable, "-W", "error", "-c", source], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.split("\n") if line]


def test_an_event_is_a_line_with_its_service_level_and_time() -> None:
    (line,) = logged('log.info("job_accepted", attempt=2)')
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "job_accepted", "level": "info", "service": "a-service", "attempt": 2}


def test_what_is_bound_is_in_every_line() -> None:
    (line,) = logged("""
        with structlog.contextvars.bound_contextvars(job_id="job_1", request_id="req_1"):
            log.info("job_accepted")
    """)
    assert (line["job_id"], line["request_id"]) == ("job_1", "req_1")


def test_a_text_of_several_lines_stays_one_line() -> None:
    (line,) = logged(r'log.warning("odd\nevent", reason="a\u2028b\r\nc 你好 😀")')
    assert (line["event"], line["reason"]) == ("odd\nevent", "a\u2028b\r\nc 你好 😀")


def test_what_is_below_the_level_is_not_printed() -> None:
    assert [line["event"] for line in logged('log.debug("no"); log.info("yes"); log.error("yes, too")')] == [
        "yes",
        "yes, too",
    ]


def test_an_exception_is_told_by_its_type_and_frames_and_never_by_its_text_or_variables() -> None:
    lines = logged("""
        def fail(prompt):
            key = "sk-secret-variable"
            try:
                raise KeyError("secret-cause " + prompt)
            except KeyError as error:
                raise ValueError("secret-text " + key) from error

        try:
            fail("secret-prompt")
        except ValueError as error:
            log.exception("it_broke")
            log.error("it_broke", exc_info=error)
            logging.getLogger("a.library").exception("it_broke")
    """)
    assert len(lines) == 3
    for line in lines:
        assert "secret" not in json.dumps(line)
        assert line["exception"][0] == "ValueError"
        assert any(frame.endswith(" fail") for frame in line["exception"])
        assert "KeyError" in line["exception"]


def test_every_exception_of_a_group_is_told() -> None:
    (line,) = logged("""
        try:
            raise ExceptionGroup("secret", [ValueError("secret"), ExceptionGroup("secret", [KeyError("secret")])])
        except ExceptionGroup:
            log.exception("it_broke")
    """)
    assert "secret" not in json.dumps(line)
    assert {"ExceptionGroup", "ValueError", "KeyError"} <= set(line["exception"])


def test_a_librarys_lines_have_the_same_form() -> None:
    (line,) = logged("""
        with structlog.contextvars.bound_contextvars(job_id="job_1"):
            logging.getLogger("a.library").warning("gone: %s", "for good")
    """)
    assert (line["event"], line["logger"], line["level"]) == ("gone: for good", "a.library", "warning")
    assert (line["service"], line["job_id"]) == ("a-service", "job_1")


def test_a_librarys_chatter_is_not_printed() -> None:
    assert logged('logging.getLogger("a.library").info("connected")') == []


def test_a_bound_secret_is_not_printed() -> None:
    (line,) = logged("""
        from pydantic import SecretStr
        logging.getLogger("a.library").warning("with %s", SecretStr("hunter2"))
    """)
    assert "hunter2" not in json.dumps(line)
