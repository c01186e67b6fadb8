"""Components that make features; what they learn is learnt from the training rows alone."""

from kfp import dsl
from kfp.dsl import Dataset, Input, Model, Output

from millstream.components.helpers import columns_but, matrix_of, read_any
from millstream.components.packages import IMAGE, SKLEARN


@dsl.component(base_image=IMAGE, packages_to_install=SKLEARN, additional_funcs=[read_any, columns_but, matrix_of])
def tabular_features(
    train: Input[Dataset],
    transformer: Output[Model],
    features: Output[Dataset],
    target: str = "",
    scale: bool = True,
    max_categories: int = 50,
):
    """Learns from training rows how to fill gaps, scale numbers and turn texts into columns of zeros and ones.

    Args:
        train: Training rows, with gaps and texts.
        transformer: What was learnt, a fitted scikit-learn ColumnTransformer. `train_sklearn` puts it before its model,
            so that the served model takes raw rows; `apply_features` makes feature tables of other rows.
        features: The training rows as features, with the target.
        target: The column that is no feature.
        scale: Whether numbers get mean 0 and deviation 1.
        max_categories: The rarer texts of a column with more than that become one.
    """
    from pathlib import Path

    import joblib
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

    rows = read_any(train.path)
    names = columns_but(rows, target)
    if not rows.num_rows or not names:
        raise ValueError("the table has no rows" if names else f"the table has no column but {target!r}")
    kinds = [rows.schema.field(name).type for name in names]
    plain = [pa.types.is_integer(t) or pa.types.is_floating(t) or pa.types.is_boolean(t) for t in kinds]
    numbers = [at for at, is_number in enumerate(plain) if is_number]
    texts = [at for at, is_number in enumerate(plain) if not is_number]
    as_floats = FunctionTransformer(np.asarray, kw_args={"dtype": float}, feature_names_out="one-to-one")
    filled = [as_floats, SimpleImputer(strategy="median", keep_empty_features=True)]
    coded = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=max_categories, sparse_output=False)
    gaps = SimpleImputer(strategy="constant", fill_value="", missing_values=None)
    parts = [
        ("numbers", make_pipeline(*filled, *([StandardScaler()] if scale else [])), numbers),
        ("texts", make_pipeline(gaps, coded), texts),
    ]
    learnt = ColumnTransformer([part for part in parts if part[2]])
    made = learnt.fit_transform(matrix_of(rows, names))
    shown = [str(one).split("__", 1)[-1] for one in learnt.get_feature_names_out(names)]
    table = pa.table({name: np.ascontiguousarray(made[:, at]) for at, name in enumerate(shown)})
    pq.write_table(table.append_column(target, rows[target]) if target else table, features.path)
    features.metadata.update(format="parquet", rows=table.num_rows, columns=len(shown))
    Path(transformer.path).mkdir(parents=True, exist_ok=True)
    joblib.dump(learnt, Path(transformer.path) / "transformer.joblib")
    transformer.metadata.update(format="sklearn", features=names, made=shown)
    print(f"{len(names)} columns became {len(shown)} features")


@dsl.component(base_image=IMAGE, packages_to_install=SKLEARN, additional_funcs=[read_any, columns_but, matrix_of])
def apply_features(table: Input[Dataset], transformer: Input[Model], features: Output[Dataset], target: str = ""):
    """Makes features of other rows with what `tabular_features` learnt.

    Args:
        table: Rows with the columns of the training rows.
        transformer: From `tabular_features`.
        features: The rows as features, with the target if they have it.
        target: The column that is no feature.
    """
    from pathlib import Path

    import joblib
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    kept, rows = Path(transformer.path) / "transformer.joblib", read_any(table.path)
    if not kept.exists():
        raise FileNotFoundError(f"{kept}: there is no transformer; tabular_features makes one")
    learnt = joblib.load(kept)
    columns_but(rows, *transformer.metadata["features"])  # says which are missing
    made = learnt.transform(matrix_of(rows, list(transformer.metadata["features"])))
    shown = transformer.metadata["made"]
    out = pa.table({name: np.ascontiguousarray(made[:, at]) for at, name in enumerate(shown)})
    pq.write_table(out.append_column(target, rows[target]) if target in rows.column_names else out, features.path)
    features.metadata.update(format="parquet", rows=out.num_rows, columns=len(shown))
