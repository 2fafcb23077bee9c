"""Start the result-reader: `python -m result_reader`."""

from common import lifecycle, logs
from common.settings import load
from result_reader.app import serve
from result_reader.settings import ReaderSettings

if __name__ == "__main__":
    settings = load(ReaderSettings, "result-reader")
    logs.configure("result-reader", settings.log_level)
    lifecycle.run("result-reader", serve(settings))
