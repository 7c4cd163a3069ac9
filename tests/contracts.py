"""A contract for import-linter: some modules need nothing from others but what is named.

import-linter's own `forbidden` contract lists what must not be imported, so a package that nobody thought of passes.
This one lists what may be imported. It follows imports through our own modules, and a module that does not exist yet
needs nothing.
"""

import sys
from typing import cast

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class OnlyContract(Contract):
    """Kept when `source_modules` reach only the standard library, `allowed_packages` and modules of ours."""

    type_name = "only"

    source_modules = fields.SetField(subfield=fields.StringField())
    allowed_packages = fields.SetField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        # import-linter puts the parsed values where the class has the fields.
        sources, packages = cast("set[str]", self.source_modules), cast("set[str]", self.allowed_packages)
        allowed = sys.stdlib_module_names | packages | set(self.session_options["root_packages"])
        chains = [
            graph.find_shortest_chain(importer=source, imported=module, as_packages=True)
            for source in sorted(sources & graph.modules)
            for module in sorted(graph.find_upstream_modules(source, as_package=True))
            if module.partition(".")[0] not in allowed
        ]
        return ContractCheck(kept=not chains, metadata={"chains": chains})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for chain in check.metadata["chains"]:
            output.print_error(" -> ".join(chain))
