"""Functions that travel inside of `tune`: its search space as Katib writes it, what a trial runs, and the page of all
trials. Each must stand alone, with its imports within."""

from typing import Any


def search_space(space: dict[str, Any]) -> tuple[list[dict[str, Any]], set[str]]:
    """(Katib's parameters, the names of those that are texts). What is tried is JSON but for texts: 12, 0.5, true.

    Raises ValueError that names the parameter.
    """
    import json
    import re

    def number(where: str, value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{where}: {value!r} is no number")
        return str(int(value)) if float(value).is_integer() else repr(float(value))

    def listed(name: str, choices: list[Any]) -> dict[str, Any]:
        if not choices:
            raise ValueError(f"space.{name}: an empty list; name what is to be tried")
        if all(isinstance(one, str) for one in choices):
            if poor := [one for one in choices if not one or re.search(r'["\\$\x00-\x1f]', one)]:
                raise ValueError(f"space.{name}: {poor[0]!r} cannot be tried: no quotes, backslashes or $ in a text")
            return {"parameterType": "categorical", "feasibleSpace": {"list": choices}}
        if all(one is None or isinstance(one, bool) for one in choices):
            return {"parameterType": "categorical", "feasibleSpace": {"list": [json.dumps(one) for one in choices]}}
        if any(one is None or isinstance(one, bool | str) for one in choices):
            raise ValueError(f"space.{name}: {choices} mixes kinds: all texts, all numbers, or true, false and null")
        texts = [number(f"space.{name}", one) for one in choices]
        return {"parameterType": "discrete", "feasibleSpace": {"list": texts}}

    def between(name: str, told: dict[str, Any]) -> dict[str, Any]:
        if unknown := sorted(set(told) - {"type", "min", "max", "step", "distribution"}):
            raise ValueError(
                f"space.{name}: {', '.join(unknown)} means nothing here: min, max, type, step, distribution"
            )
        if missing := [word for word in ("min", "max") if word not in told]:
            raise ValueError(f"space.{name}: {' and '.join(missing)} is missing")
        kind = told.get("type") or "double"
        if kind not in ("int", "double"):
            raise ValueError(f"space.{name}.type: {kind!r} is neither int nor double; what else there is, is a list")
        ends = {word: number(f"space.{name}.{word}", told[word]) for word in ("min", "max", "step") if word in told}
        if kind == "int" and (broken := [word for word, text in ends.items() if not re.fullmatch(r"-?\d+", text)]):
            raise ValueError(f"space.{name}.{broken[0]}: {ends[broken[0]]} is not whole")
        if float(told["min"]) > float(told["max"]):
            raise ValueError(f"space.{name}: min {ends['min']} is more than max {ends['max']}")
        more = {"distribution": told["distribution"]} if told.get("distribution") else {}
        return {"parameterType": kind, "feasibleSpace": {**ends, **more}}

    if not space:
        raise ValueError("space: name at least one parameter and what is to be tried of it")
    found, texts = [], set()
    for name, told in space.items():
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
            raise ValueError(f"space: {name!r} is no name of a parameter: letters, digits and _")
        if not isinstance(told, list | dict):
            raise ValueError(f"space.{name}: {told!r} is neither a list nor {{'min': ..., 'max': ...}}")
        found.append({"name": name, **(listed(name, told) if isinstance(told, list) else between(name, told))})
        if isinstance(told, list) and isinstance(told[0], str):
            texts.add(name)
    return found, texts


def trial_program() -> str:
    """What a trial runs where the user has no program: the cross-validation of an estimator of scikit-learn."""
    return """
import importlib, json, os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from millstream import training as mt
from sklearn.model_selection import cross_val_score

told = json.loads(os.environ["TUNE"])
rows = parquet.read_table(mt.dataset(os.environ["DATASET"]))
names = [name for name in rows.column_names if name != told["target"]]
x = np.stack([np.asarray(rows[name].to_numpy(zero_copy_only=False), dtype=float) for name in names], axis=1)
y = np.asarray(rows[told["target"]].to_pylist())
package, _, word = told["estimator"].rpartition(".")
made = getattr(importlib.import_module(package), word)(**told["parameters"])
made.set_params(**json.loads(os.environ["PARAMETERS"]))
if "random_state" in made.get_params() and made.get_params()["random_state"] is None:
    made.set_params(random_state=told["seed"])
scores = cross_val_score(made, x, y, cv=told["folds"], scoring=told["scoring"] or None, error_score="raise")
print(told["objective"] + "=" + repr(float(np.mean(scores))), flush=True)
"""


def trials_page(lines: list[dict[str, Any]], objective: str, direction: str, best: str) -> str:
    """All trials as HTML that stands alone: what came of each and the best until then as a picture, and a table."""
    from html import escape

    known = [(at, line[objective]) for at, line in enumerate(lines) if line[objective] is not None]
    low, high = min(value for _, value in known), max(value for _, value in known)
    wide, tall, edge = 640, 240, 46

    def place(at: int, value: float) -> str:
        right = edge + (wide - 2 * edge) * (at / max(len(lines) - 1, 1))
        return f"{right:.1f},{tall - edge - (tall - 2 * edge) * ((value - low) / ((high - low) or 1)):.1f}"

    reached, sofar = [], None
    for at, value in known:
        sofar = value if sofar is None else (max if direction == "maximize" else min)(sofar, value)
        reached.append(place(at, sofar))
    dots = []
    for at, value in known:
        right, down = place(at, value).split(",")
        is_best = lines[at]["trial"] == best
        dots.append(
            f'<circle cx="{right}" cy="{down}" r="{6 if is_best else 4}" fill="{"#c53030" if is_best else "#2b6cb0"}">'
            f"<title>{escape(lines[at]['trial'])}: {value:.6g}</title></circle>"
        )
    words = [word for word in (lines[0] if lines else {}) if word != "trial"]
    head = "".join(f"<th>{escape(word)}</th>" for word in ("trial", *words))
    body = ""
    for line in lines:
        cells = [line["trial"], *("" if line[word] is None else line[word] for word in words)]
        told = [f"{cell:.6g}" if isinstance(cell, float) else str(cell) for cell in cells]
        mark = ' class="best"' if line["trial"] == best else ""
        body += f"<tr{mark}>" + "".join(f"<td>{escape(cell)}</td>" for cell in told) + "</tr>\n"
    return f"""<!doctype html><meta charset="utf-8"><title>{escape(objective)}</title>
<style>body{{font:14px Helvetica,Arial,sans-serif;color:#12303b}}td,th{{padding:3px 9px}}
th{{text-align:left;border-bottom:1px solid #8aa3ad}}
.best td{{font-weight:bold}}text{{font-size:12px;fill:#4a6a75}}</style>
<h3>{escape(objective)}, to {escape(direction)}: {len(lines)} trials</h3>
<svg viewBox="0 0 {wide} {tall}" width="{wide}" height="{tall}"><rect width="{wide}" height="{tall}" fill="#fbfdfc"/>
<polyline points="{" ".join(reached)}" fill="none" stroke="#c53030" stroke-width="1.5"/>{"".join(dots)}
<text x="4" y="{edge}">{high:.4g}</text><text x="4" y="{tall - edge}">{low:.4g}</text>
<text x="{edge}" y="{tall - 12}">trials in the order of their start; the line is the best so far</text></svg>
<table><tr>{head}</tr>
{body}</table>
"""
