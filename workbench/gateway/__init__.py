"""Doors for programs: other agents and applications ask the workbench, under the policy that a person is under."""
