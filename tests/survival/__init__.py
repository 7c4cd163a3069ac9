"""Runs that are killed, and what is then still true."""
