"""The algorithms, one line each. A new one is a module here, its line, and a test class on the suite."""

from services.tuner.domain.algorithms import Algorithm
from services.tuner.plugins.grid import Grid
from services.tuner.plugins.random import Random
from services.tuner.plugins.sobol import Sobol
from services.tuner.plugins.tpe import Tpe

ALGORITHMS: tuple[Algorithm, ...] = (
    Random(),
    Grid(),
    Sobol(),
    Tpe("tpe", multivariate=False),
    Tpe("multivariate-tpe", multivariate=True),
)
