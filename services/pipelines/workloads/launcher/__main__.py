"""The launcher's story: take the order, fetch, run, store, report; then end as the step ended."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

from . import functions
from .answers import Answer, Unreadable, collected
from .commands import Command, function, parted
from .door import Door, Refused, Silent, Wire, say
from .environments import Environment, Unmade, here, ready
from .kept import Kept
from .packages import key_of, missing
from .places import Places, parent_of
from .program import Program
from .transfers import Damaged, Unstorable, digest_of, fetch, store, store_large

URL, KEY, ROOT, CACHE, ENV = (f"MILLSTREAM_STEP_{name}" for name in ("URL", "KEY", "ROOT", "CACHE", "ENV"))
OURS = ("MILLSTREAM_STEP_", "MILLSTREAM_WARM")
SINGLE_MAX = 5 * 2**30
"""What a bucket takes in one request, where the door does not say."""
LAST_WORDS_S = 5.0
SIGNED_FOR_S = 3000.0
"""How long the URLs of an order are surely good."""
GONE = (401, 410)
"""The service's answers to an attempt that does not count (any more)."""
AT_ONCE = 1000
"""URLs that are asked for together, so that they are still good when their turn comes."""
NOT_WANTED = 3
"""The exit code of an attempt that does not count (any more): it ran nothing."""


def main() -> int:
    """The exit code for the container."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    steering = json.loads(os.environ.get(ENV) or "{}")
    environment.update(steering)
    wire = Wire()
    door = Door(os.environ[URL], os.environ[KEY], wire)
    try:
        order = door.order()
    except Refused as error:
        if error.status not in GONE:
            door.tell("result", {"succeeded": False, "exitCode": 1, "error": f"the step cannot begin: {error}"})
            return 1
        say(f"the service does not want this attempt: {error}")
        return NOT_WANTED
    places = Places(os.environ.get(ROOT) or "/s3", order["bucket"])
    os.makedirs(places.own, exist_ok=True)
    step = Step(order, places, door, wire, environment, os.environ.get(CACHE) or "", own_start=bool(steering))
    return step.run()


class Step:
    """One attempt, from the order to the report."""

    def __init__(
        self, order: dict[str, Any], places: Places, door: Door, wire: Wire, environment: dict[str, str], cache: str,
        own_start: bool = False,
    ) -> None:  # fmt: skip
        """With `own_start` the component sets what only a new interpreter takes notice of."""
        self._order, self._places, self._door, self._wire = order, places, door, wire
        self._environment, self._cache, self._own_start = environment, cache, own_start
        self._kept = Kept(f"{places.own}/log")
        self._damaged = ""
        self._began, self._taken = _now(), time.monotonic()

    def run(self) -> int:
        answer, code, error = Answer(), 1, ""
        try:
            self._prepare()
            code, stopped = self._execute()
            if stopped and code != 0:
                say("stopped by a signal: nothing is reported, so that the attempt does not count")
                self._leave_log()
                return 128 + signal.SIGTERM
            error = self._why(code)
            if code == 0:
                answer = collected(self._order, self._places)
        except Damaged as problem:
            error, self._damaged = str(problem), problem.uri
        except (Unmade, Unreadable) as problem:
            error = str(problem)
        except Exception as problem:  # whatever a step may leave behind: it is told, and not done once more
            error = f"{type(problem).__name__}: {problem}"
        if error:
            say(error)
            code = code or 1
        code = self._report(answer, code, error)
        return code & 0xFF if code >= 0 else 128 - code

    def _prepare(self) -> None:
        fetch(self._wire, self._places, self._order["inputs"])
        for given in self._order["parameters"].values():
            parent_of(self._places.file(given["file"]))
        for slot in self._order["artifacts"]:
            parent_of(self._places.path(slot["uri"]))

    def _execute(self) -> tuple[int, bool]:
        """The exit code, and whether a signal to the launcher ended it."""
        command = parted([self._places.word(word) for word in self._order["command"]])
        if not command.rest:
            raise Unreadable("the component names no command, and what its image would run is not known: name one")
        layer = self._environment_for(command)
        variables = layer.variables(self._environment) if layer else self._environment
        program = Program(self._kept)
        known = function(command.rest)
        if known is not None and not self._own_start and functions.possible(layer):
            code = program.run_function(lambda: functions.run(known, layer, variables))
        else:
            code = program.run_command(command.rest, variables)
        return code, program.stopped

    def _environment_for(self, command: Command) -> Environment | None:
        """None where the image has all that is asked for. What it has already is no part of the environment's name, so
        that components with many requirements share the one that has kfp alone."""
        installs, own = missing(command.installs), self._places.own
        if not installs:
            return None
        key = key_of(self._order["image"], installs)
        return here(key, own, self._cache) or ready(key, installs, own, self._cache, self._door, self._wire, self._kept)

    def _why(self, code: int) -> str:
        if code == 0:
            return ""
        if code < 0:
            name = signal.Signals(-code).name
            hint = ", most likely out of memory: give it more with set_memory_limit()" if name == "SIGKILL" else ""
            return f"the step's program was ended by {name}{hint}"
        last = self._kept.last_line()
        return f"the step's program ended with exit code {code}" + (f": {last}" if last else "")

    def _report(self, answer: Answer, code: int, error: str) -> int:
        """First all bytes, then the word: what is recorded is there. What the bucket refuses fails the step: another
        attempt would do all of it again to be refused again. The exit code."""
        log = self._log()
        try:
            self._store({**answer.files, **({log["uri"]: self._kept.path} if log else {})})
            answer.check()
        except Silent:
            raise
        except (Refused, OSError, Unstorable) as problem:
            answer, code, log = Answer(), code or 1, None
            error = error or f"what the step wrote could not be stored: {problem}"
            say(error)
        try:
            self._tell(answer, code, error, log)
        except Refused as problem:
            code, error = code or 1, f"what the step gave was not taken: {problem}"
            say(error)
            self._tell(Answer(), code, error, log)
        return code

    def _tell(self, answer: Answer, code: int, error: str, log: dict[str, Any] | None) -> None:
        message = {
            **answer.message,
            "succeeded": code == 0,
            "exitCode": code,
            "error": error,
            "damaged": self._damaged,
            "log": log,
            "startedAt": self._began,
            "endedAt": _now(),
        }
        if not self._door.tell("result", message)["accepted"]:
            say("another attempt counts by now: this one's result changes nothing")

    def _leave_log(self) -> None:
        """What a stopped step had printed lies where it would have been; the pod's last seconds are enough for that."""
        with suppress(OSError, Refused):
            if self._kept.close() and time.monotonic() - self._taken < SIGNED_FOR_S:
                store(Wire(LAST_WORDS_S), self._order["log"]["url"], self._kept.path)

    def _log(self) -> dict[str, Any] | None:
        """What is told of the kept output; None where nothing was printed, or the step has removed it."""
        try:
            if not self._kept.close():
                return None
            digest, size = digest_of(self._kept.path)
        except OSError as problem:
            say(f"what the step printed is lost: {problem}")
            return None
        uri = self._order["log"]["uri"]
        return {"name": "executor-logs", "uri": uri, "size": size, "files": 1, "digest": f"sha256:{digest}"}

    def _store(self, files: dict[str, str]) -> None:
        most = self._order.get("singleMax") or SINGLE_MAX
        large = [uri for uri, path in files.items() if os.path.getsize(path) > most]
        for uri in large:
            store_large(self._wire, self._door, uri, files[uri])
        uris = [uri for uri in files if uri not in large]
        for first in range(0, len(uris), AT_ONCE):
            for uri, url in self._signed(uris[first : first + AT_ONCE]).items():
                store(self._wire, url, files[uri])

    def _signed(self, uris: list[str]) -> dict[str, str]:
        """A URL to store each URI at: those of the order while they are good, the door's for the rest."""
        slots = [self._order["log"], *self._order["artifacts"]]
        known = {slot["uri"]: slot["url"] for slot in slots} if time.monotonic() - self._taken < SIGNED_FOR_S else {}
        found = {uri: known[uri] for uri in uris if uri in known}
        if missing := [uri for uri in uris if uri not in found]:
            found.update(self._door.tell("uploads", {"uris": missing})["urls"])
        return found


def _now() -> str:
    return datetime.now(timezone.utc).isoformat()


if __name__ == "__main__":
    sys.exit(main())
