"""Components that look at data before it is believed: statistics, a schema from good data, checks against one."""

from typing import NamedTuple

from kfp import dsl
from kfp.dsl import HTML, Artifact, Dataset, Input, Output

from millstream.components.helpers import columns_but, read_any
from millstream.components.packages import ARROW, IMAGE


def profile(table) -> dict:
    """Of each column: type, nulls, distinct values; least, most, mean and deviation of numbers, the commonest texts."""
    import math

    import pyarrow as pa
    import pyarrow.compute as pc

    def plain(value):
        value = value.as_py() if hasattr(value, "as_py") else value
        if isinstance(value, float) and not math.isfinite(value):
            return None
        return value if isinstance(value, (int, float, str, bool, type(None))) else str(value)

    told = {}
    for name in table.column_names:
        column = table[name]
        about = {"type": str(column.type), "nulls": column.null_count, "distinct": pc.count_distinct(column).as_py()}
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            least = pc.min_max(column)
            about.update(min=plain(least["min"]), max=plain(least["max"]), mean=plain(pc.mean(column)))
            about["stddev"] = plain(pc.stddev(column))
        elif pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            common = sorted(pc.value_counts(column).to_pylist(), key=lambda one: -one["counts"])[:10]
            about["common"] = {str(one["values"]): one["counts"] for one in common}
        told[name] = about
    return {"rows": table.num_rows, "columns": told}


@dsl.component(base_image=IMAGE, packages_to_install=ARROW, additional_funcs=[read_any, profile])
def describe_table(table: Input[Dataset], statistics: Output[Artifact], page: Output[HTML]):
    """Statistics of every column, as JSON for programs and as a page for people.

    Args:
        table: The rows.
        statistics: {"rows": n, "columns": {name: {type, nulls, distinct, min, max, mean, stddev, common}}}.
        page: The same as a table.
    """
    import html
    import json
    from pathlib import Path

    found = profile(read_any(table.path))
    Path(statistics.path).write_text(json.dumps(found, indent=1))
    words = ("type", "nulls", "distinct", "min", "max", "mean", "stddev", "common")
    lines = [
        "<tr><th>"
        + "</th><td>".join(html.escape(str(one)) for one in (name, *(about.get(w, "") for w in words)))
        + "</td></tr>"
        for name, about in found["columns"].items()
    ]
    head = "".join(f"<th>{word}</th>" for word in ("column", *words))
    text = f"<h1>{found['rows']} rows</h1><table border=1><tr>{head}</tr>{''.join(lines)}</table>"
    Path(page.path).write_text(f"<!doctype html><meta charset=utf-8>{text}")


@dsl.component(base_image=IMAGE, packages_to_install=ARROW, additional_funcs=[read_any, profile])
def infer_schema(table: Input[Dataset], slack: float = 0.1) -> dict:
    """A schema for `validate_table` from rows that are known to be good.

    Args:
        table: Good rows.
        slack: How far numbers may lie outside of what was seen, as a share of the range.

    Returns:
        {"columns": {name: {type, min, max, values, nulls}}}; `values` for texts of at most 50 kinds.
    """
    import pyarrow.compute as pc

    rows, columns = read_any(table.path), {}
    for name, about in profile(rows)["columns"].items():
        wanted = {"type": about["type"], "nulls": 1.0 if about["nulls"] else 0.0}
        if about.get("min") is not None:
            room = (about["max"] - about["min"]) * slack
            wanted.update(min=about["min"] - room, max=about["max"] + room)
        elif "common" in about and about["distinct"] <= 50:
            wanted["values"] = sorted(pc.unique(rows[name].drop_null()).to_pylist())
        columns[name] = wanted
    return {"columns": columns}


@dsl.component(base_image=IMAGE, packages_to_install=ARROW, additional_funcs=[read_any, columns_but, profile])
def validate_table(
    table: Input[Dataset], report: Output[HTML], schema: dict, at_least: int = 1, stop: bool = True
) -> NamedTuple("Outputs", valid=bool, problems=list):
    """Holds rows against a schema and says everything that is wrong with them.

    Args:
        table: The rows.
        report: A page with the verdict.
        schema: {"columns": {name: {type, min, max, values, nulls (highest share), unique, optional}}, "others": false};
            every word is optional. `infer_schema` makes one.
        at_least: How many rows there must be.
        stop: Whether bad data fails the step; else the outputs say it.

    Returns:
        valid: Whether nothing is wrong.
        problems: One sentence for each thing that is.
    """
    import html
    from pathlib import Path

    import pyarrow as pa
    import pyarrow.compute as pc

    rows, found = read_any(table.path), []
    wanted = schema.get("columns", {})
    if not isinstance(wanted, dict) or set(schema) - {"columns", "others"}:
        there = ", ".join(map(repr, schema)) or "nothing"
        raise ValueError(f'schema: {{"columns": {{name: {{...}}}}}} and perhaps "others" are wanted, not {there}')
    for name, rule in wanted.items():
        if not isinstance(rule, dict):
            raise ValueError(
                f'schema.columns.{name}: words such as {{"type": "number", "min": 0}} are wanted, not {rule!r}'
            )
        if not isinstance(rule.get("values") or [], list):
            raise ValueError(f"schema.columns.{name}.values: a list is wanted, not {rule['values']!r}")
    kinds = {"number": lambda t: pa.types.is_integer(t) or pa.types.is_floating(t), "integer": pa.types.is_integer}
    if rows.num_rows < at_least:
        found.append(f"there are {rows.num_rows} rows, at least {at_least} are wanted")
    if schema.get("others") is False:
        found += [f"{name}: is not in the schema" for name in rows.column_names if name not in wanted]
    for name, rule in wanted.items():
        unknown = set(rule) - {"type", "min", "max", "values", "nulls", "unique", "optional"}
        if unknown:
            raise ValueError(f"schema.columns.{name}: {', '.join(sorted(unknown))} means nothing here")
        if name not in rows.column_names:
            found += [] if rule.get("optional") else [f"{name}: is missing"]
            continue
        column = rows[name]
        kind, share = str(column.type), column.null_count / max(1, rows.num_rows)
        fits = kinds.get(rule.get("type", kind), lambda _, rule=rule, kind=kind: rule["type"] == kind)
        if "type" in rule and not fits(column.type):
            found.append(f"{name}: has type {kind}, {rule['type']} is wanted")
            continue
        if share > float(rule.get("nulls", 1.0)):
            found.append(f"{name}: {share:.1%} are empty, at most {float(rule['nulls']):.1%} may be")
        for word, worse in (("min", pc.less), ("max", pc.greater)):
            if rule.get(word) is not None:
                try:
                    many = pc.sum(worse(column, pa.scalar(rule[word]))).as_py() or 0
                except (pa.ArrowInvalid, NotImplementedError, TypeError) as error:
                    told = f"schema.columns.{name}.{word}: {rule[word]!r} is not compared with values of type {kind}"
                    raise ValueError(told) from error
                found += [f"{name}: {many} values lie beyond {word} {rule[word]}"] if many else []
        if rule.get("values") is not None:
            allowed = pa.array([str(one) for one in rule["values"]])
            texts = pc.cast(column.drop_null(), pa.string())
            strange = pc.unique(texts.filter(pc.invert(pc.is_in(texts, value_set=allowed)))).to_pylist()
            found += [f"{name}: holds {', '.join(map(repr, strange[:5]))}, which is not allowed"] if strange else []
        if rule.get("unique") and pc.count_distinct(column).as_py() < rows.num_rows - column.null_count:
            found.append(f"{name}: holds the same value twice")
    verdict = "valid" if not found else f"{len(found)} problems"
    lines = "".join(f"<li>{html.escape(one)}</li>" for one in found)
    Path(report.path).write_text(
        f"<!doctype html><meta charset=utf-8><h1>{rows.num_rows} rows: {verdict}</h1><ul>{lines}</ul>"
    )
    for one in found:
        print(one)
    if found and stop:
        raise ValueError(f"the data is not valid: {'; '.join(found[:10])}")
    return not found, found


@dsl.component(
    base_image=IMAGE, packages_to_install=[*ARROW, "scipy==1.17.1"], additional_funcs=[read_any, columns_but]
)
def drift_report(
    reference: Input[Dataset],
    current: Input[Dataset],
    report: Output[HTML],
    statistics: Output[Artifact],
    threshold: float = 0.2,
    share: float = 0.3,
    ignore: list = [],
) -> NamedTuple("Outputs", drifted=bool, columns=list):
    """Compares the distribution of every column with what it was: the population stability index (PSI), and for numbers
    the Kolmogorov-Smirnov test.

    Args:
        reference: What the model was trained on.
        current: What it is asked now.
        report: A page with all columns, the worst first.
        statistics: The figures as JSON.
        threshold: The PSI from which a column has drifted (below 0.1 is usually called stable, above 0.2 changed).
        share: The share of drifted columns from which the whole table has.
        ignore: Columns that are not looked at.

    Returns:
        drifted: Whether at least `share` of the columns have drifted.
        columns: The names of those, the worst first.
    """
    import html
    import json
    from pathlib import Path

    import numpy as np
    import pyarrow as pa
    from scipy import stats

    before, now = read_any(reference.path), read_any(current.path)
    names = [name for name in columns_but(before, *ignore) if name in now.column_names]
    gone = [name for name in columns_but(before, *ignore) if name not in now.column_names]
    if not names or not before.num_rows or not now.num_rows:
        raise ValueError("reference and current have no column in common, or no rows")

    def shares(codes, cells):
        counts = np.bincount(codes, minlength=cells) + 0.5  # half a row a cell, so that an empty one is no infinity
        return counts / counts.sum()

    def compared(name):
        old, new = before[name].drop_null(), now[name].drop_null()
        if not len(old) or not len(new):
            return {"column": name, "psi": float("inf") if len(old) != len(new) else 0.0, "p": None}
        kind, later = (str(one.schema.field(name).type) for one in (before, now))
        texts = {kind, later} & {"string", "large_string"}
        if texts and kind != later:
            raise ValueError(f"column {name!r} was {kind} and is {later} now: what changed its type is no drift")
        kind = before.schema.field(name).type
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            a, b = (np.asarray(one.to_numpy(), dtype=float) for one in (old, new))
            edges = np.unique(np.quantile(a, np.linspace(0, 1, 11)[1:-1]))
            first, second = (np.searchsorted(edges, one, side="right") for one in (a, b))
            p, cells = float(stats.ks_2samp(a, b).pvalue), len(edges) + 1
        else:
            a, b = ([str(one) for one in each.to_pylist()] for each in (old, new))
            known = {value: at for at, value in enumerate(sorted(set(a)))}
            cells, p = len(known) + 1, None
            first, second = ([known.get(value, cells - 1) for value in each] for each in (a, b))
        x, y = shares(np.asarray(first, dtype=int), cells), shares(np.asarray(second, dtype=int), cells)
        return {"column": name, "psi": float(((y - x) * np.log(y / x)).sum()), "p": p}

    found = sorted((compared(name) for name in names), key=lambda one: -one["psi"])
    drifted = [one["column"] for one in found if one["psi"] > threshold]
    whole = len(drifted) + len(gone) >= share * (len(names) + len(gone)) and bool(drifted or gone)
    told = {"drifted": whole, "missing": gone, "columns": found, "rows": [before.num_rows, now.num_rows]}
    Path(statistics.path).write_text(json.dumps(told, indent=1))
    lines = "".join(
        f"<tr><td>{html.escape(one['column'])}</td><td>{one['psi']:.3f}</td>"
        f"<td>{'' if one['p'] is None else format(one['p'], '.2g')}</td>"
        f"<td>{'drifted' if one['psi'] > threshold else ''}</td></tr>"
        for one in found
    )
    head = f"<h1>{'Drifted' if whole else 'Stable'}: {len(drifted)} of {len(names)} columns</h1>"
    table = f"<table border=1><tr><th>column</th><th>PSI</th><th>KS p</th><th></th></tr>{lines}</table>"
    Path(report.path).write_text(f"<!doctype html><meta charset=utf-8>{head}{table}")
    print(f"{len(drifted)} of {len(names)} columns drifted: {', '.join(drifted[:10])}")
    return whole, gone + drifted
