"""Reward models and classifiers from elsewhere as voters: from a folder, a hub, or a pooling server."""
