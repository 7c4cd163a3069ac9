"""Examples in docstrings are true: each module's are run, and every module can be imported by itself."""

import doctest
import importlib
import pkgutil

import pytest

import workbench

MODULES = [
    "workbench",
    *(
        found.name
        for found in pkgutil.walk_packages(workbench.__path__, "workbench.")
        if not found.name.endswith("__main__")
    ),
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_true(name: str):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
