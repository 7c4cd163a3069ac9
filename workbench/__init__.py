"""An agent workbench for Jupyter: ask in a cell, see the plan, keep the results."""
