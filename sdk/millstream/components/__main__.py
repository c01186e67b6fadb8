"""`python -m millstream.components`: writes every component as YAML, as users without this package load them.

from kfp import components
split_table = components.load_component_from_file("sdk/millstream/components/compiled/split_table.yaml")
"""

import sys
from pathlib import Path

from kfp import compiler

import millstream.components as library

COMPILED = Path(__file__).parent / "compiled"


def write(folder: Path = COMPILED) -> list[str]:
    """The names of those that changed; what is no component any more goes."""
    folder.mkdir(exist_ok=True)
    before = {file.stem: file.read_text() for file in folder.glob("*.yaml")}
    for name in before.keys() - set(library.__all__):
        (folder / f"{name}.yaml").unlink()
    for name in library.__all__:
        compiler.Compiler().compile(getattr(library, name), str(folder / f"{name}.yaml"))
    after = {file.stem: file.read_text() for file in folder.glob("*.yaml")}
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


if __name__ == "__main__":
    print("\n".join(write(Path(sys.argv[1]) if sys.argv[1:] else COMPILED)))
