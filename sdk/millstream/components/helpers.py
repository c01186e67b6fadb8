"""Functions that travel inside components (`additional_funcs`); each must stand alone, with its imports within."""

from typing import Any


def read_any(path: str, kind: str = "auto") -> Any:
    """A pyarrow Table from a Parquet, CSV, TSV or JSON-lines file or a folder of Parquet files, gzipped or not.

    `kind` is auto, parquet, csv, tsv or json; auto looks at the first bytes, so that it works without file names.
    """
    import gzip
    import io
    from pathlib import Path

    import pyarrow as pa
    import pyarrow.csv as csv
    import pyarrow.json as json_lines
    import pyarrow.parquet as parquet

    if kind not in ("auto", "parquet", "csv", "tsv", "json"):
        raise ValueError(f"format {kind!r}: say auto, parquet, csv, tsv or json")
    file, read_as = Path(path), "Parquet"
    if not file.exists():
        raise FileNotFoundError(f"{path}: there is no such file")
    try:
        if file.is_dir():
            return parquet.read_table(path)
        with file.open("rb") as raw:
            start = raw.read(4096)
        if kind == "parquet" or (kind == "auto" and start[:4] == b"PAR1"):
            return parquet.read_table(path)
        read_as = "gzip"
        data = gzip.decompress(file.read_bytes()) if start[:2] == b"\x1f\x8b" else file.read_bytes()
        text = data[:4096].decode("utf-8", "replace").lstrip("\ufeff \n")
        if kind == "json" or (kind == "auto" and text.startswith("{")):
            read_as = "JSON lines"
            return json_lines.read_json(io.BytesIO(data))
        first = text.split("\n", 1)[0]
        tabs = kind == "tsv" or (kind == "auto" and first.count("\t") > first.count(","))
        read_as = "TSV" if tabs else "CSV"
        if not data.strip():
            raise ValueError("the file is empty")
        if b"\0" in data[:4096]:
            raise ValueError("it holds zero bytes, as no text does")
        found = csv.read_csv(io.BytesIO(data), parse_options=csv.ParseOptions(delimiter="\t" if tabs else ","))
    except (ValueError, OSError, EOFError) as error:
        told = f"read as {read_as}" + (" (say the format where that is wrong)" if kind == "auto" else "")
        raise ValueError(f"{path}: this table cannot be read: {error}; {told}") from error
    names = found.column_names
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(
            f"{path}: more than one column is called {', '.join(map(repr, twice))}: give each its own name"
        )
    if strange := [name for name in names if pa.types.is_binary(found.schema.field(name).type)]:
        raise ValueError(f"{path}: column {strange[0]!r} is not UTF-8: save the file in that encoding")
    return found


def columns_but(table: Any, *left_out: str) -> list[str]:
    """The names of a table's columns without those; raises ValueError for a name that is not there."""
    for name in left_out:
        if name and name not in table.column_names:
            raise ValueError(f"column {name!r} is not in the table, which has: {', '.join(table.column_names)}")
    return [name for name in table.column_names if name not in left_out]


def answers_of(table: Any, target: str) -> list[Any]:
    """The values of the column to predict; raises ValueError where it, a row or one of them is missing."""
    if target not in table.column_names:
        raise ValueError(f"column {target!r} is not in the table, which has: {', '.join(table.column_names)}")
    if not table.num_rows:
        raise ValueError("the table has no rows")
    if gaps := table[target].null_count:
        told = f"column {target!r} is empty in {gaps} of {table.num_rows} rows"
        raise ValueError(f"{told}: leave those out, since nobody knows their answer")
    return list(table[target].to_pylist())


def matrix_of(table: Any, names: list[str]) -> Any:
    """The columns as a NumPy matrix: float64 where all are numbers or booleans, else objects."""
    import numpy as np
    import pyarrow as pa

    def plain(field: Any) -> bool:
        return pa.types.is_integer(field) or pa.types.is_floating(field) or pa.types.is_boolean(field)

    numbers = all(plain(table.schema.field(name).type) for name in names)
    if not numbers:
        return np.array([table[name].to_pylist() for name in names], dtype=object).T
    columns = [np.asarray(table[name].to_numpy(zero_copy_only=False), dtype=float) for name in names]
    return np.stack(columns, axis=1) if columns else np.empty((table.num_rows, 0))


def estimator_of(name: str) -> Any:
    """The class of scikit-learn with this dotted name; raises ValueError for what is none or predicts nothing."""
    import importlib

    package, _, word = name.rpartition(".")
    if not package.startswith("sklearn."):
        raise ValueError(f"estimator {name!r}: it must be a dotted name below sklearn.")
    try:
        kind = getattr(importlib.import_module(package), word)
    except (ImportError, AttributeError):
        raise ValueError(f"estimator {name!r}: scikit-learn has none of this name") from None
    if not hasattr(kind, "predict"):
        raise ValueError(f"estimator {name!r}: it predicts nothing")
    return kind


def arguments_of(kind: Any, told: dict[str, Any]) -> dict[str, Any]:
    """An estimator's arguments as it takes them: KFP carries dictionaries as JSON whose numbers are all floats, and
    2000.0 stays one only where it may be one. Raises ValueError for one that it does not have."""
    from sklearn.utils._param_validation import InvalidParameterError

    try:
        kind(**told)
    except TypeError as error:
        raise ValueError(f"parameters of {kind.__name__}: {error}") from None
    found = dict(told)
    for word, value in told.items():
        if isinstance(value, float) and value.is_integer():
            try:
                kind(**{word: value})._validate_params()
            except InvalidParameterError:
                found[word] = int(value)
            except TypeError:  # it cannot be made of this alone
                pass
    return found


def refuse_unused(settings: dict[str, Any], data: Any) -> None:
    """Raises ValueError for parameters of which XGBoost only warns that it does not use them; `data` is a DMatrix."""
    import difflib
    import json
    import re
    import warnings

    import xgboost

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        config = xgboost.Booster({**settings, "verbosity": 1}, cache=[data]).save_config()
    told = [re.search(r"Parameters: \{(.*)\} are not used", str(one.message)) for one in said]
    unused = [name for one in told if one for name in re.findall(r'"(\w+)"', one[1])]
    if unused:
        near = difflib.get_close_matches(unused[0], re.findall(r'"(\w+)":', json.dumps(json.loads(config))), 1)
        hint = f": did you mean {near[0]!r}?" if near and near[0] not in unused else ": leave it out"
        raise ValueError(f"parameters: XGBoost does not use {', '.join(map(repr, unused))} here{hint}")


def load_any(path: str, kind: str) -> Any:
    """A function from a matrix of rows to (predictions, probabilities or None), from the folder or file of a model of
    format sklearn, xgboost or pytorch."""
    from pathlib import Path

    import numpy as np

    where = Path(path)
    files = [where] if where.is_file() else sorted(one for one in where.rglob("*") if one.is_file())
    if not files:
        raise FileNotFoundError(f"{path}: there is no model")
    if kind == "sklearn":
        import joblib

        try:
            estimator = joblib.load(files[0])
        except Exception as error:  # a pickle may raise anything
            raise ValueError(f"{files[0]}: this is no scikit-learn model that can be read here: {error}") from error
        odds = getattr(estimator, "predict_proba", None)
        return lambda rows: (estimator.predict(rows), odds(rows) if odds else None)
    if kind == "xgboost":
        import xgboost

        booster = xgboost.Booster()
        booster.load_model(files[0])

        def boosted(rows: Any) -> tuple[Any, Any]:
            told = np.asarray(booster.inplace_predict(rows, validate_features=False))
            return (told.argmax(1), told) if told.ndim == 2 else (told, None)

        return boosted
    if kind == "pytorch":
        try:
            import torch
        except ImportError as error:
            raise RuntimeError("this model needs torch: run the step in an image that has it") from error
        program = torch.export.load(files[0]).module()

        def scored(rows: Any) -> tuple[Any, Any]:
            with torch.inference_mode():
                told = program(torch.as_tensor(np.asarray(rows, dtype="float32"))).numpy()
            if told.ndim == 1 or told.shape[1] == 1:
                return told.reshape(len(rows)), None
            odds = np.exp(told - told.max(1, keepdims=True))
            return told.argmax(1), odds / odds.sum(1, keepdims=True)

        return scored
    raise ValueError(f"format {kind!r} of the model: it must be sklearn, xgboost or pytorch")


def predict_with(model: Any, table: Any, target: str = "") -> tuple[Any, Any]:
    """(predictions in the target's own values, probabilities or None) of a Model artifact for the rows of a table.

    The columns are those that the model was trained on, whatever else the table has.
    """
    import numpy as np

    names = list(model.metadata.get("features") or columns_but(table, target if target in table.column_names else ""))
    missing = [name for name in names if name not in table.column_names]
    if missing:
        raise ValueError(f"the model was trained on columns that this table has not: {', '.join(missing)}")
    told, odds = load_any(model.path, str(model.metadata.get("format") or "sklearn"))(matrix_of(table, names))
    classes = list(model.metadata.get("classes") or [])
    indices = model.metadata.get("answers") == "indices"
    if classes and indices and odds is None:  # two classes: the probability of the second
        odds = np.stack([1 - told, told], axis=1)
        told = (told >= 0.5).astype(int)
    if classes and indices:
        told = np.asarray(classes)[np.asarray(told, dtype=int)]
    return told, odds


def ask(method: str, path: str, body: Any = None, gateway: str = "", patient_s: float = 60.0) -> Any:
    """One request to the platform's gateway (or a cluster's API server) as this pod's service account; answers JSON.

    `gateway` is a base URL; without one it is MILLSTREAM_URL, else the cluster's own API server, else the gateway's
    usual name. While nobody answers, or is not ready, it asks again for `patient_s` seconds. Raises LookupError for
    404 and RuntimeError with the server's own message for other refusals.
    """
    import json
    import os
    import ssl
    import time
    import urllib.error
    import urllib.request
    from pathlib import Path

    account = Path("/var/run/secrets/kubernetes.io/serviceaccount")
    base = gateway or os.environ.get("MILLSTREAM_URL") or ""
    if not base and os.environ.get("KUBERNETES_SERVICE_HOST"):
        base = f"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ.get('KUBERNETES_SERVICE_PORT', '443')}"
    base = base or "http://gateway.millstream-system.svc.cluster.local:8080"
    headers = {"Accept": "application/json"}
    headers["Content-Type"] = "application/merge-patch+json" if method == "PATCH" else "application/json"
    token = os.environ.get("MILLSTREAM_TOKEN") or ""
    if not token and (account / "token").exists():
        token = (account / "token").read_text().strip()  # read anew each time: a cluster renews it
    if token:
        headers["Authorization"] = f"Bearer {token}"
    known = str(account / "ca.crt") if (account / "ca.crt").exists() else None
    trust = ssl.create_default_context(cafile=known) if base.startswith("https") else None
    data = json.dumps(body).encode() if body is not None else None
    end = time.monotonic() + patient_s
    while True:
        request = urllib.request.Request(base.rstrip("/") + path, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30, context=trust) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            text = error.read().decode("utf-8", "replace")
            try:
                told = str(json.loads(text).get("message") or text)
            except ValueError:
                told = text[:500]
            if error.code == 404:
                raise LookupError(told) from error
            if error.code not in (429, 502, 503, 504) or time.monotonic() > end:
                raise RuntimeError(f"{method} {path}: {error.code}: {told}") from error
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > end:
                raise RuntimeError(f"{base} does not answer: {error}") from error
        time.sleep(1)


def take_up(path: str, wanted: dict[str, Any], gateway: str = "", wait_s: float = 600.0) -> Any:
    """What an attempt of this step before this one has made under the same name; None where it is made now, since
    nothing was there, or what was there had failed and is deleted first."""
    import time

    at, end = f"{path}/{wanted['metadata']['name']}", time.monotonic() + wait_s
    try:
        found = ask("GET", at, gateway=gateway)
        states = {one["type"] for one in (found.get("status") or {}).get("conditions") or [] if one["status"] == "True"}
        if "Failed" not in states and not found["metadata"].get("deletionTimestamp"):
            return found
        ask("DELETE", at, gateway=gateway)
        while time.monotonic() < end:
            ask("GET", at, gateway=gateway)
            time.sleep(0.5)
    except LookupError:
        pass
    try:
        ask("POST", path, wanted, gateway=gateway)
    except RuntimeError as error:
        if ": 409: " not in str(error):  # else it was made, and the answer was lost on its way
            raise
    return None


def is_moved() -> bool:
    """For who is told to end: whether the step still goes on, as when its node is drained or the platform stops. Its
    next attempt then takes up what this one made. False where the platform does not say, and outside of one."""
    import os

    task = os.environ.get("MILLSTREAM_TASK_ID")
    try:
        told = ask("GET", f"/apis/v2beta1/tasks/{task}", patient_s=2) if task else {}
    except (LookupError, RuntimeError):
        return False
    return told.get("state") in ("PENDING", "RUNNING")


def maker() -> dict[str, str]:
    """Labels for what this step makes: the lineage then knows whose it is. Empty outside of a platform's pod."""
    import os

    told = {"millstream.dev/run": "KFP_RUN_ID", "millstream.dev/task": "MILLSTREAM_TASK_ID"}
    return {label: os.environ[name] for label, name in told.items() if os.environ.get(name)}


def my_namespace(namespace: str = "") -> str:
    """The namespace that was named, else this pod's own."""
    from pathlib import Path

    told = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
    return namespace or (told.read_text().strip() if told.exists() else "default")
