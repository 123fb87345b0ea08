import numpy  # noqa: F401  # breaks: importing a plugin loads nothing
