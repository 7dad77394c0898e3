"""Intake: `rows` checks a row, `files` reads files, `fieldmap` says what a sender's columns mean, `ingest` appends."""
