"""Formats of particle tables, a module each."""
