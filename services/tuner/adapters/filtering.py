"""`python -m services.tuner.adapters.filtering`: applies a user's own filter to lines, in a process that can be killed.
It gets lines, names and formats as JSON, and answers with the observation."""

from __future__ import annotations

import json
import sys

from services.tuner.domain.metrics import Reader, observation


def main() -> None:
    asked = json.load(sys.stdin)
    reader = Reader(asked["names"], asked["formats"])
    for line in asked["lines"]:
        reader.take(line)
    json.dump(observation(reader.figures, asked["names"]), sys.stdout)


if __name__ == "__main__":
    main()
