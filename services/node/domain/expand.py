"""`$(NAME)` references in command, args and env; pure. Source: k8s.io/kubernetes, golang/expansion."""

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$(?:\$|\(([^()]*)\))")


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replaces `$(NAME)`; an unknown name stays as written and `$$` is one dollar sign."""

    def one(found: "re.Match[str]") -> str:
        name = found.group(1)
        if name is None:
            return "$"
        return values.get(name, found.group(0))

    return _REFERENCE.sub(one, text)
