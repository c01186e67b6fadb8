"""Makes `socket` resolve the names of the hosts file in MILLSTREAM_HOSTS; it must not assume any package."""

import os
import socket
from collections.abc import Callable, Mapping
from typing import Any


def _lookup(path: str, name: object) -> object:
    """The address of `name`, or `name` itself. Read anew each time: the node rewrites the file in place."""
    if isinstance(name, bytes):
        name = name.decode("ascii", "replace")
    if not isinstance(name, str) or not name:
        return name
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.readlines()
    except OSError:
        return name
    for line in lines:
        words = line.partition("#")[0].split()
        if name.rstrip(".").lower() in (word.lower() for word in words[1:]):
            return words[0]
    return name


def _first_argument_resolved(call: Callable[..., Any], path: str) -> Callable[..., Any]:
    def resolved(host: object, *args: Any, **kwargs: Any) -> Any:
        return call(_lookup(path, host), *args, **kwargs)

    resolved.__name__ = call.__name__
    return resolved


def install(environment: Mapping[str, str]) -> None:
    path = environment.get("MILLSTREAM_HOSTS")
    if path:
        for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
            setattr(socket, name, _first_argument_resolved(getattr(socket, name), path))


if __name__ == "sitecustomize":  # as Python itself loads it when a program starts; the zygote wants its functions alone
    install(os.environ)
