"""Starts programs on the nodes of one MPI job, where mpirun would use ssh.

`serve` answers on each node, `call [-l USER] HOST COMMAND...` is mpirun's agent, `run COMMAND...` goes before mpirun:
it waits for the nodes and lets them go at the end. A caller proves by an HMAC over the node's nonce that it knows the
job's token, so nobody else who reaches the port gets a shell.
"""

import hashlib
import hmac
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time

HOSTFILE = "/etc/mpi/hostfile"
PATIENCE_S = 10.0
LINGER_S = 3.0
TELL_EVERY_S = 30.0
BYE = "\0bye"


def _port():
    return int(os.environ.get("MILLSTREAM_AGENT_PORT", "2222"))


def _address():
    return os.environ.get("MILLSTREAM_AGENT_ADDRESS", "")


def _token_file():
    return os.environ.get("MILLSTREAM_AGENT_TOKEN", "/var/run/secrets/millstream.dev/progress/token")


def main(words):
    """Never answers for `serve`, until it is told that all is over."""
    kind, rest = words[0], words[1:]
    if _address().startswith("127."):  # all pods are on one machine, which may have no other network
        os.environ.setdefault("OMPI_MCA_btl_tcp_if_include", "lo")
    return {"serve": serve, "call": call, "run": run}[kind](rest)


def serve(_):
    over, callers = threading.Event(), []
    with socket.socket() as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind((_address(), _port()))
        door.listen(64)
        door.settimeout(0.2)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: over.set())
        print("waiting for the launcher", flush=True)
        while not over.is_set():
            try:
                line, _peer = door.accept()
            except TimeoutError:
                continue
            caller = threading.Thread(target=_answer, args=(line, over), daemon=True)
            caller.start()
            callers.append(caller)
    _see_off(callers)
    return 0


def _see_off(callers):
    """mpirun's daemons end a moment after mpirun, and their callers want to hear how."""
    end = time.monotonic() + LINGER_S
    for caller in callers:
        caller.join(max(0.0, end - time.monotonic()))


def _answer(line, over):
    """One caller: nonce, proof and command, then what the command says and how it ends."""
    with line:
        line.settimeout(PATIENCE_S)
        nonce = secrets.token_hex(16)
        try:
            line.sendall((nonce + "\n").encode())
            asked = json.loads(line.makefile("rb").readline(1 << 20) or b"{}")
        except (OSError, ValueError):
            return
        command = str(asked.get("command", ""))
        if not hmac.compare_digest(str(asked.get("proof", "")), _proof(nonce, command)):
            _say(line, output="refused: the caller does not know this job's token\n", code=255)
            return
        line.settimeout(None)
        if command == BYE:
            _say(line, code=0)
            over.set()
        elif not command:
            _say(line, code=0)
        else:
            _execute(line, command)


def _execute(line, command):
    """What goes on in the background keeps the pipe, not the caller: mpirun's daemons do."""
    started = subprocess.Popen(
        ["/bin/sh", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    relay = threading.Thread(target=_relay, args=(line, started.stdout), daemon=True)
    relay.start()
    code = started.wait()
    relay.join(0.5)
    _say(line, code=code if code >= 0 else 128 - code)


def _relay(line, pipe):
    for text in iter(lambda: pipe.read1(65536), b""):
        if not _say(line, output=text.decode(errors="replace")):
            return


def _say(line, **told):
    try:
        line.sendall((json.dumps(told) + "\n").encode())
    except OSError:
        return False
    return True


def call(words):
    """As `ssh` is called: options, host, and a command in words that the other side's shell puts together."""
    while words[0].startswith("-"):
        words = words[2:] if words[0] in ("-l", "-p", "-o", "-i") else words[1:]
    try:
        return ask(words[0], " ".join(words[1:]))
    except OSError as error:
        print(f"{words[0]}: {error}", file=sys.stderr)
        return 255


def ask(host, command, patience_s=None):
    """The exit code of a command on a node. Raises OSError when nobody answers within `patience_s` (None: for ever)."""
    with _dial(host, patience_s) as line:
        heard = line.makefile("rb")
        nonce = heard.readline().decode().strip()
        line.sendall((json.dumps({"command": command, "proof": _proof(nonce, command)}) + "\n").encode())
        line.settimeout(None)
        for told in map(json.loads, heard):
            sys.stdout.write(told.get("output", ""))
            sys.stdout.flush()
            if "code" in told:
                return told["code"]
    raise ConnectionError("the node hung up")


def _dial(host, patience_s):
    began = told = time.monotonic()
    while True:
        try:
            return socket.create_connection((host, _port()), timeout=PATIENCE_S)
        except OSError as error:
            now = time.monotonic()
            if patience_s is not None and now - began > patience_s:
                raise
            if now - told > TELL_EVERY_S:
                told = now
                print(f"still waiting for {host}: {error}", file=sys.stderr, flush=True)
            time.sleep(0.1)


def run(words):
    """The launcher's command between the coming and the going of its nodes; its exit code is that of the command."""
    hosts = _others()
    for host in hosts:
        if ask(host, ""):
            return 255
    started = subprocess.Popen(words)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _: started.send_signal(got))
    code = started.wait()
    for host in hosts:
        try:
            ask(host, BYE, patience_s=2.0)
        except OSError as error:
            print(f"{host} could not be told that all is over: {error}", file=sys.stderr)
    return code if code >= 0 else 128 - code


def _others():
    with open(HOSTFILE) as file:
        hosts = [line.split()[0] for line in file if line.strip()]
    me = socket.gethostname()
    return [host for host in hosts if host.split(".")[0] != me]


def _proof(nonce, command):
    with open(_token_file()) as file:
        token = file.read().strip().encode()
    return hmac.new(token, (nonce + "\n" + command).encode(), hashlib.sha256).hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
