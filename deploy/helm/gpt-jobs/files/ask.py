"""What `helm test` runs in a pod of the release: submits a job and waits for its answer."""

import json
import os
import sys
import time
import urllib.error
import urllib.request
from typing import Any

Record = dict[str, Any]


def main() -> int:
    """The exit status: 0 with the record of an answered job on standard output."""
    until = time.monotonic() + float(os.environ["PATIENCE_S"])
    job = {"msg": "Say hello.", "options": {"max_tokens": 64}}
    record = None
    while record is None or record["status"] in ("queued", "in_progress"):
        if time.monotonic() > until:
            sys.exit(f"no answer in time; last seen: {record}")
        if record is None:
            record = ask(os.environ["GATEWAY_URL"] + "/v1/jobs", job)
        else:
            record = ask(os.environ["READER_URL"] + f"/v1/results/{record['id']}?wait=20") or record
    print(json.dumps(record, indent=2, ensure_ascii=False))
    return 0 if record["status"] == "completed" else 1


def ask(url: str, job: Record | None = None) -> Record | None:
    """The record that comes back; None, after a pause, if it is worth another try."""
    body = json.dumps(job).encode() if job else None
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers()), timeout=40) as response:
            record: Record = json.load(response)
            return record
    except urllib.error.HTTPError as error:
        if error.code not in (429, 502, 503, 504):
            sys.exit(f"{url}: {error.code} {error.read().decode()}")
        problem = str(error.code)
    except OSError as error:
        problem = str(error)
    print(f"{url}: {problem}, trying again", file=sys.stderr, flush=True)
    time.sleep(2)
    return None


def headers() -> dict[str, str]:
    """With the first of the clients' keys, if there are any."""
    first = os.environ.get("API_KEYS", "").split(",")[0].partition(":")[2].strip()
    return {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {first}"} if first else {})


if __name__ == "__main__":
    sys.exit(main())
