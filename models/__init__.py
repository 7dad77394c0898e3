"""Estimators, calibration, explanations and the bundle: pure functions of tables, without MLflow and the web."""
