"""What `helm test` runs in a pod of the release: submits a job and waits for its answer."""

import json
import os
import sys
import time
import urllib.error
import urllib.request

keys = os.environ.get("API_KEYS", "")
headers = {"Content-Type": "application/json"}
if keys:
    headers["Authorization"] = "Bearer " + keys.split(",")[0].partition(":")[2].strip()
until = time.monotonic() + float(os.environ["PATIENCE_S"])


def ask(url, body=None):
    """The record that comes back; None if it is worth another try."""
    request = urllib.request.Request(url, data=body and json.dumps(body).encode(), headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=40) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        if error.code not in (429, 503):
            sys.exit(f"{url}: {error.code} {error.read().decode()}")
        print(f"{url}: {error.code}, trying again", flush=True)
    except OSError as error:
        print(f"{url}: {error}, trying again", flush=True)
    time.sleep(2)
    return None


record, url, body = None, os.environ["GATEWAY_URL"] + "/v1/jobs", {"msg": "Say hello.", "options": {"max_tokens": 64}}
while record is None or record["status"] in ("queued", "in_progress"):
    if time.monotonic() > until:
        sys.exit(f"no answer in time; last seen: {record}")
    record = ask(url, body) or record
    if record:
        url, body = os.environ["READER_URL"] + "/v1/results/" + record["id"] + "?wait=20", None

print(json.dumps(record, indent=2, ensure_ascii=False))
sys.exit(record["status"] != "completed")
