"""Data sets, splits, runs, gates and the registry: the only package that knows MLflow."""
