"""Preference data from elsewhere: how a source is opened, and one file a layout of its rows."""
