"""Start a worker: `python -m gpt_worker`."""

from common import lifecycle, logs
from common.settings import load
from gpt_worker.app import serve
from gpt_worker.settings import WorkerSettings

if __name__ == "__main__":
    settings = load(WorkerSettings, "gpt-worker")
    logs.configure("gpt-worker", settings.log_level)
    lifecycle.run("gpt-worker", serve(settings))
