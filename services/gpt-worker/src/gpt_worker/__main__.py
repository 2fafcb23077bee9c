"""Start a worker: `python -m gpt_worker`. Look after dead letters: `python -m gpt_worker dead --help`."""

import gc
import sys

from common import lifecycle, logs
from common.settings import load

if __name__ == "__main__":
    if sys.argv[1:]:
        from gpt_worker import dead

        sys.exit(dead.main(sys.argv[1:]))

    # Only now: the model's client takes longer to load than a look at the dead letters lasts.
    from gpt_worker.app import serve
    from gpt_worker.settings import WorkerSettings

    settings = load(WorkerSettings, "gpt-worker")
    # What is loaded stays: to look through it for garbage again and again takes a busy worker 4 % of its time.
    gc.collect()
    gc.freeze()
    logs.configure("gpt-worker", settings.log_level)
    lifecycle.run("gpt-worker", serve(settings))
