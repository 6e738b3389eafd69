"""Orchard's library: plain typed Python that grows, judges and measures preference data."""
