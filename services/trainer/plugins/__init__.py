"""The frameworks that can train here: a module each and its line below; the order is that of the search."""

from services.trainer.domain.frameworks import Framework
from services.trainer.plugins.plain import Plain
from services.trainer.plugins.torch import Torch

FRAMEWORKS: tuple[Framework, ...] = (
    Torch(),
    Plain(),
)
