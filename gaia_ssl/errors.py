"""The error of everything that a user can cause and mend."""


class UserError(Exception):
    """Wrong input. The message is one line: what is wrong, where, and what to do; the tools print it without a traceback."""
