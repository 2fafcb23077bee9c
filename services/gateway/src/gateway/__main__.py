"""Start the gateway: `python -m gateway`."""

from common import lifecycle, logs
from common.settings import load
from gateway.app import serve
from gateway.settings import GatewaySettings

if __name__ == "__main__":
    settings = load(GatewaySettings, "gateway")
    logs.configure("gateway", settings.log_level)
    lifecycle.run("gateway", serve(settings))
