"""Runs inside the registry's image: the service with a broker beside it and SQLite, until it is ready; then ends it."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

environment = {
    **os.environ,
    "MILLSTREAM_STORE_URL": "sqlite:////tmp/registry.db",
    "MILLSTREAM_NATS_URL": "nats://127.0.0.1:4222",
    "MILLSTREAM_INSECURE": "true",
}
broker = subprocess.Popen(["/tmp/nats-server", "-a", "127.0.0.1", "-js", "-sd", "/tmp/js"], stderr=subprocess.DEVNULL)
service = subprocess.Popen(["/opt/millstream/bin/start"], env=environment)
answer, until = "nothing", time.monotonic() + 60
while answer != "200" and time.monotonic() < until and service.poll() is None:
    time.sleep(0.1)
    try:
        answer = str(urllib.request.urlopen("http://127.0.0.1:8080/readyz", timeout=5).status)
    except urllib.error.HTTPError as error:
        answer = f"{error.code}: {error.read().decode()}"
    except OSError as error:
        answer = str(error)
print("readyz", answer)
service.send_signal(signal.SIGTERM)
print("ended", service.wait(timeout=30))
broker.terminate()
sys.exit(0)
