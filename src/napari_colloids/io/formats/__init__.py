"""Formats of image stacks, a module each, and the file layouts of the challenge."""
