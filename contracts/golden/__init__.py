"""The contracts' memory: schemas, samples and the AsyncAPI document, made from the models and kept from breaking.

`python -m contracts.golden` rewrites them (a person reads the diff), `--check` compares, `--against REF` refuses to
break what a git revision promised.
"""
