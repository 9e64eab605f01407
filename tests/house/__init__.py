"""The house in numbers: how the package is divided, who imports whom, and how long its parts are.

`make house` counts the package as it is; `make house ARGS=path` counts another checkout of the repository.
"""
