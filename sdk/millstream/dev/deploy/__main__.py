"""`python -m millstream.dev.deploy [--check]`: writes deploy/ as the manifests say, or tells what differs from them.

--check changes nothing, prints one line for each file that drifted from its service.yaml and ends with 1 if any did.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from millstream.dev.deploy.tree import drift, write


def main(arguments: Sequence[str], root: Path) -> int:
    """0 when all is as it should be; 2 for words it does not know."""
    if list(arguments) not in ([], ["--check"]):
        print(__doc__)
        return 2
    if not arguments:
        for path in write(root):
            print(f"wrote {path}")
        return 0
    wrong = drift(root)
    for line in wrong:
        print(line)
    if wrong:
        print(
            "change the service.yaml or the template, then `make golden`; what is special to a place is a patch there"
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path.cwd()))
