"""Limits of what a table may promise, so that a small damaged file does not fill the memory."""

#: A table of more rows than the first number may have at most the second per byte of its file: positions cannot be
#: compressed further.
MIN_CHECKED_ROWS, MAX_ROWS_PER_BYTE = 10_000_000, 20
#: Largest number of columns, and of characters in a line.
MAX_COLUMNS, MAX_LINE_CHARACTERS = 4096, 1 << 20
