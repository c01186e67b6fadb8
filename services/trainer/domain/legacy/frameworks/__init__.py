"""The kinds of job: a module each and its line below."""

from services.trainer.domain.legacy.family import Family
from services.trainer.domain.legacy.frameworks.jax import JAX
from services.trainer.domain.legacy.frameworks.mpi import MPI
from services.trainer.domain.legacy.frameworks.paddle import PADDLE
from services.trainer.domain.legacy.frameworks.pytorch import PYTORCH
from services.trainer.domain.legacy.frameworks.tensorflow import TENSORFLOW
from services.trainer.domain.legacy.frameworks.xgboost import XGBOOST

FAMILIES: tuple[Family, ...] = (PYTORCH, TENSORFLOW, MPI, XGBOOST, PADDLE, JAX)
BY_KIND = {family.kind: family for family in FAMILIES}
