"""The routes, a module for each group; every route states its rule of authorisation."""
