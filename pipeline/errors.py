"""The one exception that users see as a single line."""


class OrchardError(Exception):
    """Something the user can mend.

    The message is one line: what is wrong, where, and what to do.
    The command line prints it and exits with status 1; Dagster shows it as the step's error.
    """


class Diverged(OrchardError):
    """A training whose loss is not finite or explodes."""
