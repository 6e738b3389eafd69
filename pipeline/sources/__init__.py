"""Preference data from elsewhere: one file a layout of files, and what becomes of their rows."""
