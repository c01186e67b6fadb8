"""python -m services.registry"""

from libs.service.runner import run
from services.registry.app import build

if __name__ == "__main__":
    run(build)
