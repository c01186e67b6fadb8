"""The image and the pinned packages of every component; they must not differ from requirements.lock, so that a laptop
has nothing to install."""

IMAGE = "python:3.11"
"""Any image with Python 3.11 does; choose another with `task.set_container_image(...)`."""

ARROW = ["numpy==2.4.6", "pyarrow==26.0.1"]
SKLEARN = [*ARROW, "joblib==1.6.0", "scikit-learn==1.9.1", "scipy==1.17.1"]
XGBOOST = [*ARROW, "scipy==1.17.1", "xgboost-cpu==3.2.0"]
ANY_MODEL = [*SKLEARN, "xgboost-cpu==3.2.0"]
