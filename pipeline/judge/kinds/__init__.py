"""Our kinds of judges, one file each."""
