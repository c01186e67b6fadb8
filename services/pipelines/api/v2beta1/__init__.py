"""The REST API of Kubeflow Pipelines, v2beta1, as kfp.Client and the generated clients speak it."""
