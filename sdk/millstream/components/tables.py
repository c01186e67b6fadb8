"""Components that bring tables in, split them and write them out; every table between steps is one Parquet file."""

from kfp import dsl
from kfp.dsl import Dataset, Input, Output

from millstream.components.helpers import columns_but, read_any
from millstream.components.packages import ARROW, IMAGE, SKLEARN


@dsl.component(base_image=IMAGE, packages_to_install=SKLEARN)
def sample_data(table: Output[Dataset], name: str = "digits"):
    """Real data that scikit-learn brings along, for trying things out without a network.

    Args:
        table: The rows as Parquet; the answer is in the column `label` (`target` for diabetes).
        name: digits (1,797 scans of handwriting), breast_cancer, wine, iris, or diabetes (a regression).
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    from sklearn import datasets

    known = ("digits", "breast_cancer", "wine", "iris", "diabetes")
    if name not in known:
        raise ValueError(f"name {name!r}: there are {', '.join(known)}")
    found = getattr(datasets, f"load_{name}")()
    names = [str(one).replace(" ", "_") for one in found.feature_names]
    columns = {one: np.ascontiguousarray(found.data[:, at]) for at, one in enumerate(names)}
    rows = pa.table({**columns, "target" if name == "diabetes" else "label": found.target})
    pq.write_table(rows, table.path)
    table.metadata.update(format="parquet", rows=rows.num_rows, columns=rows.num_columns, source=f"scikit-learn {name}")


@dsl.component(base_image=IMAGE, packages_to_install=ARROW, additional_funcs=[read_any, columns_but])
def read_table(table: Output[Dataset], uri: str, format: str = "auto", columns: list = []):
    """Reads Parquet, CSV, TSV or JSON lines (gzipped or not) from a URL, a mounted path or S3.

    Args:
        table: The rows as Parquet.
        uri: http(s)://, file:///path of a mounted volume, or s3:// with keys in AWS_*
            (`kfp.kubernetes.use_secret_as_env`). What lies in the pipeline's own bucket needs no keys: bring it with
            `dsl.importer` and `convert_table`.
        format: auto, parquet, csv, tsv or json.
        columns: Only these columns; all of them when empty.
    """
    import os
    import shutil
    import tempfile
    import urllib.request
    from pathlib import Path
    from urllib.parse import unquote, urlsplit

    import pyarrow.parquet as pq

    where = urlsplit(uri)
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / "data"
        if where.scheme in ("http", "https"):
            try:
                with urllib.request.urlopen(uri, timeout=60) as answer, local.open("wb") as file:
                    shutil.copyfileobj(answer, file)
            except OSError as error:
                raise RuntimeError(f"uri {uri!r} cannot be read: {error}") from error
        elif where.scheme == "s3":
            from pyarrow import fs

            host = urlsplit(os.environ.get("AWS_ENDPOINT_URL") or "")
            known = {"endpoint_override": host.netloc, "scheme": host.scheme} if host.netloc else {}
            bucket = fs.S3FileSystem(region=os.environ.get("AWS_DEFAULT_REGION") or "us-east-1", **known)
            try:
                with bucket.open_input_stream(where.netloc + where.path) as source, local.open("wb") as file:
                    shutil.copyfileobj(source, file)
            except OSError as error:
                told = "its keys come in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, its server in AWS_ENDPOINT_URL"
                raise RuntimeError(f"uri {uri!r} cannot be read: {error}; {told}") from error
        elif where.scheme in ("", "file"):
            local = Path(unquote(where.path))
        else:
            raise ValueError(f"uri {uri!r} must begin with http://, https://, s3:// or file://")
        rows = read_any(str(local), format)
    columns_but(rows, *columns)
    rows = rows.select(list(columns)) if columns else rows
    pq.write_table(rows, table.path)
    table.metadata.update(format="parquet", rows=rows.num_rows, columns=rows.num_columns, source=uri)
    print(f"{rows.num_rows} rows, {rows.num_columns} columns: {', '.join(rows.column_names)}")


@dsl.component(base_image=IMAGE, packages_to_install=ARROW, additional_funcs=[read_any])
def convert_table(source: Input[Dataset], table: Output[Dataset], to: str = "parquet", format: str = "auto"):
    """Turns a table artifact (an imported file, say) into Parquet, or Parquet into CSV for people.

    Args:
        source: Parquet, CSV, TSV or JSON lines.
        table: The same rows in the other form.
        to: parquet or csv.
        format: What the source is: auto, parquet, csv, tsv or json.
    """
    import pyarrow.csv as csv
    import pyarrow.parquet as pq

    if to not in ("parquet", "csv"):
        raise ValueError(f"to {to!r}: say parquet or csv")
    rows = read_any(source.path, format)
    pq.write_table(rows, table.path) if to == "parquet" else csv.write_csv(rows, table.path)
    table.metadata.update(format=to, rows=rows.num_rows, columns=rows.num_columns)


@dsl.component(base_image=IMAGE, packages_to_install=ARROW, additional_funcs=[read_any])
def write_table(table: Input[Dataset], uri: str, format: str = "parquet") -> str:
    """Writes a table to where other systems read it; whoever reads there sees the old file or the new one.

    Args:
        table: The rows.
        uri: s3:// with keys in AWS_* (`kfp.kubernetes.use_secret_as_env`), or file:///path of a mounted volume.
        format: parquet or csv.

    Returns:
        The URI.
    """
    import os
    from pathlib import Path
    from urllib.parse import unquote, urlsplit

    import pyarrow as pa
    import pyarrow.csv as csv
    import pyarrow.parquet as pq

    if format not in ("parquet", "csv"):
        raise ValueError(f"format {format!r}: say parquet or csv")
    rows, where, sink = read_any(table.path), urlsplit(uri), pa.BufferOutputStream()
    pq.write_table(rows, sink) if format == "parquet" else csv.write_csv(rows, sink)
    data = sink.getvalue()
    if where.scheme == "s3":
        from pyarrow import fs

        host = urlsplit(os.environ.get("AWS_ENDPOINT_URL") or "")
        known = {"endpoint_override": host.netloc, "scheme": host.scheme} if host.netloc else {}
        bucket = fs.S3FileSystem(region=os.environ.get("AWS_DEFAULT_REGION") or "us-east-1", **known)
        try:
            with bucket.open_output_stream(where.netloc + where.path) as target:
                target.write(data)
        except OSError as error:
            told = "its keys come in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, its server in AWS_ENDPOINT_URL"
            raise RuntimeError(f"uri {uri!r} cannot be written: {error}; {told}") from error
    elif where.scheme in ("", "file"):
        file = Path(unquote(where.path))
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f".{file.name}.part")
        part.write_bytes(data)
        part.replace(file)
    else:
        raise ValueError(f"uri {uri!r} must begin with s3:// or file://")
    print(f"{rows.num_rows} rows, {data.size} bytes: {uri}")
    return uri


@dsl.component(base_image=IMAGE, packages_to_install=ARROW, additional_funcs=[read_any, columns_but])
def split_table(
    table: Input[Dataset],
    train: Output[Dataset],
    test: Output[Dataset],
    test_share: float = 0.2,
    stratify: str = "",
    seed: int = 7,
):
    """Splits rows by chance, the same way for the same seed.

    Args:
        table: The rows.
        train: What is left for training.
        test: `test_share` of the rows.
        test_share: Between 0 and 1.
        stratify: A column whose values keep their shares in both parts; none when empty.
        seed: Another seed makes another split.
    """
    import numpy as np
    import pyarrow.parquet as pq

    if not 0 < test_share < 1:
        raise ValueError(f"test_share {test_share}: it must lie between 0 and 1")
    rows, chance = read_any(table.path), np.random.default_rng(seed)
    columns_but(rows, stratify)
    groups = [np.arange(rows.num_rows)]
    if stratify:
        codes = np.asarray(rows[stratify].combine_chunks().dictionary_encode().indices.fill_null(-1))
        groups = [np.flatnonzero(codes == code) for code in np.unique(codes)]
    chosen = np.zeros(rows.num_rows, dtype=bool)
    for group in groups:
        chosen[chance.permutation(group)[: round(len(group) * test_share)]] = True
    for part, wanted in ((train, ~chosen), (test, chosen)):
        taken = rows.take(np.flatnonzero(wanted))
        if not taken.num_rows:
            raise ValueError(f"test_share {test_share} of {rows.num_rows} rows leaves one part empty")
        pq.write_table(taken, part.path)
        part.metadata.update(format="parquet", rows=taken.num_rows, columns=taken.num_columns)
