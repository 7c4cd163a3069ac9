"""Listeners that write down what happened, for people who operate the workbench."""
