"""The frameworks that can train here: a module each and its line below; the order is that of the search."""

from services.trainer.domain.frameworks import Framework
from services.trainer.plugins.jax import Jax
from services.trainer.plugins.mpi import Mpi
from services.trainer.plugins.paddle import Paddle
from services.trainer.plugins.plain import Plain
from services.trainer.plugins.tensorflow import TensorFlow
from services.trainer.plugins.torch import Torch
from services.trainer.plugins.xgboost import XGBoost

FRAMEWORKS: tuple[Framework, ...] = (
    Torch(),
    Mpi(),
    Jax(),
    TensorFlow(),
    XGBoost(),
    Paddle(),
    Plain(),
)
