"""Attacks of our own on what this implementation is made of, by what they are after."""

from tests.hostile.case import Case
from tests.hostile.cases import calls, channel, files, network, ordinary, processes, resources, system

OWN: tuple[Case, ...] = (
    *files.CASES,
    *system.CASES,
    *network.CASES,
    *processes.CASES,
    *resources.CASES,
    *channel.CASES,
    *calls.CASES,
)
OPEN: tuple[Case, ...] = files.OPEN
ORDINARY: tuple[Case, ...] = ordinary.CASES
