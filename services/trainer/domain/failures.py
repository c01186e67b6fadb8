"""Reads from a container's exit code and last lines why it failed: the first cause, not its echo in other processes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from services.trainer.domain.failure_words import remedy_of, words_of

SIGNALS = {
    1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL",
    11: "SIGSEGV", 13: "SIGPIPE", 15: "SIGTERM", 24: "SIGXCPU",
}  # fmt: skip
LINES_AFTER = 2
"""An exception's message may go on; what S3 servers answer does."""
LOOSE_LINES = 6
"""How many of the last lines are read where no exception is among them."""

_RANK = r"(?:\[(?:rank|default)?\d+\]:? ?)?"
_EXCEPTION = re.compile(
    rf"^{_RANK}(?P<what>(?:[A-Za-z_]\w*\.)*[A-Za-z]\w*(?:[Ee]rror|Exception|Exit|Interrupt|Failure)\b.*)"
)
_SPOKEN = re.compile(
    rf"^{_RANK}(?P<what>ERROR: .*|.*: command not found|.*: \d+: .*: not found|.*can't open file .*|Bus error.*|"
    r".*: (?:Permission denied|No such file or directory)|there is nothing at s3://.*)$"
)
_WRAPPERS = ("ChildFailedError", "ProcessRaisedException", "ProcessExitedException")
"""What a launcher raises because a process that it started failed."""
_CHAINED = ("During handling of the above exception", "The above exception was the direct cause")
_ROOT = re.compile(r"Root Cause \(first observed failure\):.*?exitcode\s*:\s*(?P<code>-?\d+)", re.DOTALL)
_KILLED = (
    "nobody in the platform asked for that; mostly the machine or the container ran out of memory: ask for more memory "
    "(resourcesPerNode) or use less"
)
_CRASHED = (
    "native code crashed: see whether the package fits this machine and Python (another version, another image); "
    "PYTHONFAULTHANDLER=1 in the job's env shows where"
)
_BY_SIGNAL = {4: _CRASHED, 6: _CRASHED, 7: _CRASHED, 8: _CRASHED, 9: _KILLED, 11: _CRASHED}
_NO_COMMAND = "the image has no such program: check command and args, or name its package in packages_to_install"
_NOT_RUNNABLE = "the file is there but may not be run: give it the x bit and a #! line, or run it by its interpreter"


@dataclass(frozen=True)
class Finding:
    """`reason` is one CamelCase word, `said` the program's own line, `line` its number in the text (-1: none). An echo
    only tells that another process died first."""

    reason: str
    said: str
    remedy: str
    is_echo: bool = False
    line: int = -1


@dataclass(frozen=True)
class _Said:
    line: int
    what: str
    more: str
    is_chained: bool


def finding(text: str, code: int) -> Finding | None:
    """None where nothing is known of this failure; `code` follows the shell (128 + signal).

    The last exception that is no echo decides, known or not; then the way the process ended; then echoes.
    """
    lines = text.splitlines()
    said = _exceptions(lines)
    told = [_judged(said, at) for at in range(len(said))]
    own = [found for found in told if found is None or not found.is_echo]
    if by_code := _by_code(code, lines):
        return by_code
    if own:
        return own[-1]
    echoes = [found for found in told if found is not None]
    return _by_signal(code) or _by_launcher(text) or (echoes[-1] if echoes else _loose(lines))


def own_words(text: str) -> str:
    """The text up to the last exception that is no echo: what launchers add behind it explains nothing."""
    lines = text.splitlines()
    own = [each.line for each in _exceptions(lines) if not _is_echo(each)]
    return "\n".join(lines[: own[-1] + 1 + LINES_AFTER] if own and _is_launched(text) else lines)


def _is_launched(text: str) -> bool:
    return any(name in text for name in _WRAPPERS)


def _exceptions(lines: Sequence[str]) -> list[_Said]:
    out: list[_Said] = []
    chained = False
    for at, line in enumerate(lines):
        chained = chained or any(mark in line for mark in _CHAINED)
        found = _EXCEPTION.match(line) or _SPOKEN.match(line)
        if found and not any(name in line for name in _WRAPPERS):
            out.append(_Said(at, found["what"].strip(), "\n".join(lines[at : at + 1 + LINES_AFTER]), chained))
            chained = False
    return out


def _judged(said: Sequence[_Said], at: int) -> Finding | None:
    """What the exception, or one that led to it, is known as. In a chain the last speaks, the first that is known
    explains."""
    each, back = said[at], at
    while (row := words_of(said[back].what) or words_of(said[back].more)) is None:
        if not said[back].is_chained or back == 0:
            return None
        back -= 1
    known = said[back]
    line = known.what if words_of(known.what) else known.more
    return Finding(row.reason, each.what, remedy_of(row, line), row.is_echo, each.line)


def _is_echo(said: _Said) -> bool:
    row = words_of(said.what)
    return row is not None and row.is_echo


def _by_code(code: int, lines: Sequence[str]) -> Finding | None:
    last = next((line for line in reversed(lines) if line.strip()), "")
    if code == 127 and "not found" in last:
        return Finding("CommandNotFound", last.strip(), _NO_COMMAND, line=len(lines) - 1)
    if code == 126:
        return Finding("CommandNotExecutable", last.strip(), _NOT_RUNNABLE, line=len(lines) - 1)
    return None


def _by_signal(code: int) -> Finding | None:
    number = code - 128
    name = SIGNALS.get(number)
    if name is None or number not in _BY_SIGNAL:
        return None
    return Finding("Killed" if number == 9 else "Crashed", f"killed by {name}", _BY_SIGNAL[number])


def _by_launcher(text: str) -> Finding | None:
    """torchrun outlives what it started and tells how that ended."""
    found = _ROOT.search(text)
    return _by_signal(128 - int(found["code"])) if found and int(found["code"]) < 0 else None


def _loose(lines: Sequence[str]) -> Finding | None:
    """Programs that are not Python's say it in their last lines."""
    for at in range(len(lines) - 1, max(-1, len(lines) - 1 - LOOSE_LINES), -1):
        if (row := words_of(lines[at])) is not None:
            return Finding(row.reason, lines[at].strip(), remedy_of(row, lines[at]), row.is_echo, at)
    return None
