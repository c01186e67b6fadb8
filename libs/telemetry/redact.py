"""Takes secrets out of text before it is written; better one word too many than one too few."""

import re

HIDDEN = "[redacted]"

_WORDS = r"password|passwd|secret[_-]?(?:access[_-]?)?key|access[_-]?key|api[_-]?key|secret|token|authorization|cookie"
_PATTERNS = (
    # The user info of a URL: scheme://user:password@host
    (re.compile(r"(?P<keep>\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s@/]+(?=@)", re.IGNORECASE), rf"\g<keep>{HIDDEN}"),
    # The three parts of a JSON Web Token, wherever it stands
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"), HIDDEN),
    (re.compile(r"(?P<keep>\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}", re.IGNORECASE), rf"\g<keep>{HIDDEN}"),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL), HIDDEN),
    # name=value, name: value, "name": "value"
    (
        re.compile(
            rf"(?P<keep>[\w-]*(?:{_WORDS})[\"']?\s*[=:]\s*)(?:\"[^\"]+\"|'[^']+'|(?!bearer\b|basic\b)[^\s,;&}}\"']+)",
            re.IGNORECASE,
        ),
        rf"\g<keep>{HIDDEN}",
    ),
)
_NAME = re.compile(_WORDS, re.IGNORECASE)


def redact(text: str) -> str:
    """The text with passwords in URLs, tokens, private keys and `secret=...` pairs hidden."""
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


def is_secret(name: str) -> bool:
    """Whether a field of this name is hidden whatever it holds."""
    return _NAME.search(name) is not None
