"""Preference data from elsewhere: how a file, a folder, a saved data set or a hub id is opened."""
