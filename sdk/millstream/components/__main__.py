"""`python -m millstream.components`: writes every component as YAML, as users without this package load them, and a
page that says what each takes and gives.

from kfp import components
split_table = components.load_component_from_file("sdk/millstream/components/compiled/split_table.yaml")
"""

import re
import sys
from pathlib import Path

import docstring_parser
from kfp import compiler

import millstream.components as library

COMPILED = Path(__file__).parent / "compiled"
PAGE = Path(__file__).parent / "README.md"
HEAD = """# Ready-made components

Written by `python -m millstream.components`; all are ordinary components of kfp. From Python, with `sdk` on the path:

```python
from kfp import dsl
from millstream.components import read_table, split_table, train_sklearn

@dsl.pipeline(name="forest")
def forest(uri: str):
    table = read_table(uri=uri).outputs["table"]
    parts = split_table(table=table, test_share=0.25, stratify="label")
    train_sklearn(train=parts.outputs["train"], target="label", parameters={"n_estimators": 50})
```

Without this package, from the compiled file or its URL:

```python
from kfp import components
split_table = components.load_component_from_file("compiled/split_table.yaml")
```
"""


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


def page() -> str:
    """What every component takes and gives, as Markdown."""
    return "\n".join([HEAD, *(_about(name) for name in library.__all__)])


def _about(name: str) -> str:
    component = getattr(library, name)
    function = getattr(component, "python_func", None) or component.pipeline_func
    spec, said = component.component_spec, docstring_parser.parse(function.__doc__ or "")
    words = {one.arg_name: one.description for one in said.params}
    words.update(_returned((function.__doc__ or "").partition("Returns:")[2], list(spec.outputs or {})))
    about = {word: " ".join((text or "").split()).replace("|", "\\|") for word, text in words.items()}
    lines = [f"## `{name}`", "", " ".join((said.description or "").split()), ""]
    lines += ["| | name | type | default | |", "| --- | --- | --- | --- | --- |"]
    for word, given in (spec.inputs or {}).items():
        default = "" if not given.optional else f"`{given.default!r}`"
        lines.append(f"| in | `{word}` | {_type(given)} | {default} | {about.get(word, '')} |")
    for word, made in (spec.outputs or {}).items():
        lines.append(f"| out | `{word}` | {_type(made)} | | {about.get(word, '')} |")
    return "\n".join([*lines, ""])


def _returned(text: str, outputs: list[str]) -> dict[str, str]:
    """What the docstring says of each: `name: what` where there are several, else one sentence."""
    found = re.split(rf"(?m)^\s*({'|'.join(outputs)}): ", text) if outputs else [text]
    return dict(zip(found[1::2], found[2::2], strict=True)) if len(found) > 1 else {"Output": text}


def _type(one) -> str:
    kind = str(one.type).removeprefix("system.").split("@")[0]
    return f"list of {kind}" if getattr(one, "is_artifact_list", False) else kind


if __name__ == "__main__":
    print("\n".join(write(Path(sys.argv[1]) if sys.argv[1:] else COMPILED)))
    if not sys.argv[1:]:
        PAGE.write_text(page())
