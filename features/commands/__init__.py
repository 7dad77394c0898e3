"""Commands that need nothing but records and features."""
