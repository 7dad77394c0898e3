"""The service: the only package that knows FastAPI."""
