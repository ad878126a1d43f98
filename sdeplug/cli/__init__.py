"""The command line: the words of each command in a file here, what it does in ``work``."""
