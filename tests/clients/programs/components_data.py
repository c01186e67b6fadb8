"""What the components make of real data, called as plain functions; `given` is a folder to write to."""

import gzip
import json
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
from kfp import dsl
from kfp.dsl import HTML, Artifact, ClassificationMetrics, Dataset, Metrics, Model
from millstream import components as library
from millstream.components.__main__ import COMPILED, PAGE, page, write

given = json.loads(sys.argv[1])
FOLDER = Path(given["folder"])


def new(kind, name, **metadata):
    return kind(name=name, uri=str(FOLDER / f"{name}-{len(list(FOLDER.iterdir()))}"), metadata=metadata)


def call(component, /, **arguments):
    return getattr(library, component).python_func(**arguments)


def rows(artifact):
    return pq.read_table(artifact.path)


def table(columns, name="table"):
    made = new(Dataset, name)
    pq.write_table(pa.table(columns), made.path)
    return made


def problem(component, /, **arguments):
    try:
        call(component, **arguments)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "none"


def sample(name):
    made = new(Dataset, name)
    call("sample_data", table=made, name=name)
    return made


def split(of, **more):
    train, test = new(Dataset, "train"), new(Dataset, "test")
    call("split_table", table=of, train=train, test=test, **more)
    return train, test


def figures(model, test, target):
    metrics, confusion = new(Metrics, "metrics"), new(ClassificationMetrics, "confusion")
    call("evaluate", model=model, test=test, metrics=metrics, confusion=confusion, target=target)
    return {**metrics.metadata, "shown": sorted(confusion.metadata)}


def reading():
    digits, out = sample("digits"), {}
    source = rows(digits)
    plain, packed = FOLDER / "digits.csv", FOLDER / "digits.bin"
    csv.write_csv(source, plain)
    packed.write_bytes(gzip.compress(plain.read_bytes().replace(b",", b"\t")))
    lines = FOLDER / "few"
    lines.write_text("".join(json.dumps({"a": at, "b": f"x{at}"}) + "\n" for at in range(5)))
    for file in (plain, packed, lines):
        read = new(Dataset, "read")
        call("read_table", table=read, uri=f"file://{file}")
        out[file.name] = [rows(read).num_rows, rows(read).num_columns]
    back = new(Dataset, "back")
    call("convert_table", source=digits, table=back, to="csv")
    target = FOLDER / "kept" / "digits.parquet"
    call("write_table", table=back, uri=f"file://{target}")
    out["back"] = pq.read_table(target).select(["label"]) == source.select(["label"])
    out["unknown"] = problem("read_table", table=back, uri="ftp://x/y")
    return out


def checking():
    wine = sample("wine")
    train, test = split(wine, stratify="label", test_share=0.25)
    schema = call("infer_schema", table=train)
    statistics, page = new(Artifact, "statistics"), new(HTML, "page")
    call("describe_table", table=wine, statistics=statistics, page=page)
    bad = {name: rows(test)[name].to_pylist() for name in rows(test).column_names}
    bad["alcohol"] = [None, 99.0, *bad["alcohol"][2:]]
    bad["label"] = ["red", *map(str, bad["label"][1:])]
    del bad["hue"]
    report = new(HTML, "report")
    found = call("validate_table", table=table(bad), report=report, schema=schema, stop=False, at_least=100)
    return {
        "good": call("validate_table", table=train, report=new(HTML, "report"), schema=schema)[0],
        "mean": json.loads(Path(statistics.path).read_text())["columns"]["alcohol"]["mean"],
        "shares": [np.bincount(rows(part)["label"].to_numpy()).tolist() for part in (train, test)],
        "same": rows(split(wine, stratify="label", test_share=0.25)[1]) == rows(test),
        "problems": found[1],
        "stopped": problem("validate_table", table=table(bad), report=report, schema=schema),
        "page": "<th>alcohol</th>" in Path(page.path).read_text(),
    }


def training():
    out, candidates = {}, []
    train, test = split(sample("breast_cancer"), stratify="label")
    whole = {"max_iter": 5000.0, "C": 1.0}  # as KFP hands whole numbers of a dictionary on
    for candidate in (
        {"estimator": "sklearn.linear_model.LogisticRegression", "parameters": whole},
        {"estimator": "sklearn.ensemble.RandomForestClassifier", "parameters": {"max_depth": 2.0, "max_features": 1.0}},
    ):
        model = new(Model, "model")
        score = call("train_sklearn", train=train, model=model, target="label", candidate=candidate, folds=3)
        candidates.append((model, score))
    best = new(Model, "best")
    index, score = call("pick_best", models=[m for m, _ in candidates], scores=[s for _, s in candidates], best=best)
    out["best"] = [index == int(np.argmax([s for _, s in candidates])), score]
    out["sklearn"] = figures(best, test, "label")
    boosted = new(Model, "boosted")
    call("train_xgboost", train=train, model=boosted, target="label", parameters={"max_depth": 3.0}, rounds=30, folds=2)
    out["xgboost"] = figures(boosted, test, "label")
    predictions = new(Dataset, "predictions")
    out["rows"] = call(
        "batch_predict", model=boosted, table=test, predictions=predictions, keep=["label"], probabilities=True
    )
    told = rows(predictions)
    out["columns"] = told.column_names
    out["hits"] = float(np.mean(told["label"].to_numpy() == told["prediction"].to_numpy()))
    train, test = split(sample("diabetes"))
    call("train_xgboost", train=train, model=boosted, target="target", rounds=20, parameters={"max_depth": 2})
    out["regression"] = figures(boosted, test, "target")
    out["refused"] = problem("train_sklearn", train=train, model=best, target="target", estimator="os.system")
    out["missing"] = problem("train_sklearn", train=train, model=best, target="price")
    return out


def features():
    """Diabetes with a text for the sex, and gaps: the model takes rows as they are, texts and gaps included."""
    source = rows(sample("diabetes"))
    columns = {name: source[name].to_pylist() for name in source.column_names}
    columns["sex"] = ["f" if value > 0 else "m" for value in columns["sex"]]
    columns["bmi"] = [None if at % 7 == 0 else value for at, value in enumerate(columns["bmi"])]
    train, test = split(table(columns))
    transformer, made, model = new(Model, "transformer"), new(Dataset, "made"), new(Model, "model")
    call("tabular_features", train=train, transformer=transformer, features=made, target="target")
    applied = new(Dataset, "applied")
    call("apply_features", table=test, transformer=transformer, features=applied, target="target")
    call(
        "train_sklearn",
        train=train,
        model=model,
        target="target",
        estimator="sklearn.linear_model.Ridge",
        transformer=transformer,
        folds=3,
    )
    return {
        "columns": rows(made).column_names,
        "same": rows(applied).column_names == rows(made).column_names,
        "gaps": sum(column.null_count for column in rows(applied).columns),
        "r2": figures(model, test, "target")["r2"],
    }


def drift():
    train, test = split(sample("wine"), stratify="label", test_share=0.5)
    moved = {name: rows(test)[name].to_numpy().copy() for name in rows(test).column_names}
    moved["alcohol"] += 2.0
    told = {}
    for name, current, ignore in (("still", test, ["label"]), ("moved", table(moved), [])):
        report, statistics = new(HTML, "report"), new(Artifact, "statistics")
        told[name] = call(
            "drift_report",
            reference=train,
            current=current,
            report=report,
            statistics=statistics,
            ignore=ignore,
            threshold=1.0,
            share=0.05,
        )
    return told


with tempfile.TemporaryDirectory() as compiled:
    write(Path(compiled))
    kept = {file.name: file.read_text() for file in COMPILED.glob("*.yaml")}
    stale = [name for name in kept if (Path(compiled) / name).read_text() != kept[name]]
    missing = sorted({file.name for file in Path(compiled).iterdir()} ^ set(kept))


def poor():
    """What whoever gives poor data, or asks for what is not there, is told."""
    good, label = table({"a": [1.0, 2.0, 3.0, 4.0], "label": [0, 1, 0, 1]}), {"target": "label"}
    texts, gap = table({"b": ["x", "y"], "label": [0, 1]}), table({"a": [1.0, 2.0], "label": [None, 1]})
    forest, model, nobody = "sklearn.ensemble.RandomForestClassifier", new(Model, "model"), Model(uri="/nowhere")
    call("train_sklearn", train=good, model=model, estimator=forest, **label)

    def written(data):
        made = new(Dataset, "raw")
        Path(made.path).write_bytes(data)
        return problem("convert_table", source=made, table=new(Dataset, "out"))

    def trained(kind="sklearn", rows=good, **more):
        return problem(f"train_{kind}", train=rows, model=new(Model, "model"), **{**label, **more})

    def checked(schema):
        return problem("validate_table", table=good, report=new(HTML, "report"), schema=schema)

    def judged(by, rows, **more):
        metrics, confusion = new(Metrics, "metrics"), new(ClassificationMetrics, "confusion")
        return problem("evaluate", model=by, test=rows, metrics=metrics, confusion=confusion, **{**label, **more})

    def tuned(space, uri="s3://millstream/good", **more):
        rows = SimpleNamespace(uri=uri, path=good.path)
        outputs = {"trials": new(Dataset, "t"), "report": new(HTML, "r"), "metrics": new(Metrics, "m")}
        return problem("tune", train=rows, space=space, **outputs, **{"estimator": "sklearn.svm.SVC", **label, **more})

    return [
        *(written(data) for data in (b"", b"\0\1\2", "a\nf\xfcr\n".encode("latin-1"), b"a,a\n1,2\n", b"a,b\n1,2,3\n")),
        written(b"\x1f\x8bno gzip at all"),
        written(Path(good.path).read_bytes()[:99]),
        problem("read_table", table=new(Dataset, "out"), uri=f"file://{good.path}", columns=["price"]),
        problem("read_table", table=new(Dataset, "out"), uri="http://127.0.0.1:1/data.csv"),
        trained(estimator="sklearn.linear_model.Nobody"),
        trained(estimator="sklearn.preprocessing.StandardScaler"),
        trained(parameters={"trees": 3}),
        trained(candidate={"estimatr": forest}),
        trained(rows=texts),
        trained(rows=gap),
        trained("xgboost", rows=gap),
        trained("xgboost", rows=texts, target="b", parameters={"objective": "reg:squarederror"}),
        checked({"a": {"min": 1}}),
        checked({"columns": {"a": "double"}}),
        checked({"columns": {"a": {"min": "x"}}}),
        judged(nobody, good),
        judged(Model(uri=good.uri), good),
        judged(model, good, target="price"),
        judged(model, good, positive="yes"),
        problem("apply_features", table=good, transformer=nobody, features=new(Dataset, "out")),
        *(
            tuned({"x": poor_space})
            for poor_space in (
                {"min": 3, "max": 1},
                {"min": 1.5, "max": 3, "type": "int"},
                ["a", 1],
                ['say "a"'],
                {"min": 1, "max": 2, "type": "float"},
            )
        ),
        tuned({"x-y": [1, 2]}),
        tuned({}),
        tuned({"deepness": [1, 2]}),
        tuned({"C": [1, 2]}, parameters={"C": 1}),
        tuned({"C": [1, 2]}, target="price"),
        tuned({"C": [1, 2]}, direction="up"),
        tuned({"C": [1, 2]}, uri=good.uri),
        trained(folds=1),
        trained("xgboost", rounds=0),
        trained("xgboost", parameters={"max_dept": 3.0, "eta": 0.1}),
        problem(
            "train_torch", train=SimpleNamespace(uri="s3://a/b", path=good.path), model=new(Model, "m"), program=""
        ),
    ]


result = {
    "page": page() == PAGE.read_text(),
    "poor": poor(),
    "compiled": [stale, missing],
    "loaded": type(dsl).__name__ == "module" and len(kept),
    "reading": reading(),
    "checking": checking(),
    "training": training(),
    "features": features(),
    "drift": drift(),
}
print("RESULT " + json.dumps(result))
