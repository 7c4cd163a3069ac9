"""Finds tools and describes them without running them."""
