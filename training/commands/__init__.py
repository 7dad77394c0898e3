"""Commands that train, compare and watch models."""
