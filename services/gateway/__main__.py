"""Runs the gateway."""

import os

from libs.service.runner import run_hosted
from services.gateway.app import open_gateway
from services.gateway.domain.options import Options

if __name__ == "__main__":
    run_hosted(lambda: Options.from_env(os.environ, service="gateway"), open_gateway)
