"""The `orchard` command, one group of commands a file."""
