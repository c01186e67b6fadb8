"""python -m services.serving"""

from libs.service.runner import run
from services.serving.app import build

if __name__ == "__main__":
    run(build)
