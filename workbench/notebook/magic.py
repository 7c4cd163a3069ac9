"""`%agent` and `%workbench`: parse the line, find the tables, show what comes back."""

from __future__ import annotations

import difflib
import keyword
from typing import TYPE_CHECKING, Any

from IPython.core import magic_arguments
from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, line_magic, magics_class, needs_local_scope, no_var_expand

from workbench.notebook import config
from workbench.notebook import line as lines
from workbench.notebook.attached import Attached, attach

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from workbench.notebook.background import Handle
    from workbench.notebook.display import Display
    from workbench.run import Run
    from workbench.workbench import Workbench


def _documented(magic: Any) -> Any:
    """The magic with its options in the help of `%agent?`.

    Only the help is IPython's: its parser splits a line as a shell would, and a request is taken byte for byte.
    """
    option: Any = magic_arguments.argument  # IPython leaves these untyped
    magic = option("request", nargs="*", help="what you want, in words")(magic)
    for name, text in reversed(list(lines.OPTIONS.items())):  # decorators list what is applied last first
        kind = {"metavar": lines.VALUED[name]} if name in lines.VALUED else {"action": "store_true"}
        magic = option(f"--{name}", help=text, **kind)(magic)
    documented: Any = magic_arguments.magic_arguments
    return documented()(magic)


def _with_verbs(magic: Any) -> Any:
    """The magic with every verb in the help of `%workbench?`."""
    forms = {"": "model, isolation, memory, tools", **lines.VERBS}
    width = max(map(len, forms))
    magic.__doc__ += "\n\n" + "\n".join(f"%workbench {form:{width}}  {text}" for form, text in forms.items())
    return magic


@magics_class
class AgentMagics(Magics):
    """The magics of one kernel."""

    @no_var_expand  # `$` and braces belong to the user
    @needs_local_scope
    @line_cell_magic
    @_documented
    def agent(self, line: str, cell: str | None = None, local_ns: dict[str, Any] | None = None) -> Run | Handle | None:
        """Ask for something, in words: `%agent REQUEST`, or a longer request in a cell under `%%agent`.

        %agent total revenue by region in 2025 as a bar chart of @sales
        growth = %agent ...        keep the run; `_` is the last one
        %%agent growth <<          the same for a cell
        %agent ... ;               show nothing; in a cell, a last line of `;`
        job = %agent --bg ...      at once, while the run goes on: job.result() is the run, job.cancel() stops it
        %config Workbench          what requests are asked with unless their line says otherwise

        `@name` names a DataFrame, a figure or a run (`@growth.s2` a step of it), `@cell[-1]` the cell before, and
        `{{expression}}` puts a value of yours into the request; everything else is taken as it is. The run has .df
        .answer .images .artifacts .steps .plan .cost .id .status
        """
        try:
            asked = config.applied(lines.read(line, cell), config.of(self.shell))
            scope = {**self._namespace(), **(local_ns or {})}
            if asked.help or (cell is None and not asked.text and not asked.capture):
                print(self._help())  # noqa: T201 - the answer to a bare %agent
                return None
            if not asked.text.strip():
                raise lines.BadLine("The request is empty: write what you want, in words.")
            values: list[str] = []

            def evaluate(code: str) -> str:
                values.append(str(eval(code, scope)))  # noqa: S307 - the user's own expression
                return values[-1]

            text = lines.expand(asked.text, evaluate)
            attached = attach(text, scope, self._workbench, self.shell)
        except lines.BadLine as wrong:
            raise UsageError(str(wrong)) from None
        run = self._ask(attached, asked, values)
        if asked.capture:
            self._namespace()[asked.capture] = run
            return None
        return run

    def _ask(self, attached: Attached, asked: lines.Line, values: list[str]) -> Run | Handle:
        from workbench.core.errors import Cancelled
        from workbench.notebook import background, kernel
        from workbench.notebook.asking import approver, require_somebody
        from workbench.notebook.watched import watched
        from workbench.offer import frozen

        try:
            workbench = self._workbench()
        except KeyboardInterrupt:
            raise Cancelled("Stopped. Nothing was run.") from None
        if unseen := background.waiting():
            print(unseen)  # noqa: T201 - as below
        require_somebody(self.shell, workbench, asked, asked.replay)
        attached.tables = frozen(attached.tables)  # on this thread: the cell may be over before the run has taken them

        def work(display: Display) -> Coroutine[Any, Any, Run]:
            return workbench.ask(
                attached.text,
                **attached.options(),
                plan_only=asked.plan,
                model=asked.model,
                budget=asked.budget,
                approver=approver(asked, display),
                rounds=asked.ask,
                inserted=values,
                listeners=(display.listen,),
                watchers=(display.watch,) if display.is_live else (),
                memory=asked.memory or display.is_live,
                follows=True,
                fresh=asked.fresh,
                reuse=asked.reuse,
                replay=asked.replay,
                on_thread=display.on_thread,
                persona=asked.persona,
                notebook=kernel.notebook(self.shell),
            )

        return watched(self.shell, workbench.settings.headless, work, background=asked.bg, silent=asked.silent)

    @no_var_expand
    @line_magic
    @_with_verbs
    def workbench(self, line: str) -> Any:
        """What is in force, and what is on record."""
        from workbench.notebook import verbs

        verb, _, rest = line.strip().partition(" ")
        if not verb:
            return verbs.status(self._workbench())
        known = [form.split()[0] for form in lines.VERBS]
        if verb not in known:
            near = difflib.get_close_matches(verb, known, n=1)
            said = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}."
            raise UsageError(f"There is no %workbench {verb}; {said}")
        function = f"{verb}_" if keyword.iskeyword(verb) else verb.replace("-", "_")
        return getattr(verbs, function)(self._workbench(), rest.strip())

    def _namespace(self) -> dict[str, Any]:
        names: dict[str, Any] = getattr(self.shell, "user_ns", {})
        return names

    def _workbench(self) -> Workbench:
        from workbench.notebook import again
        from workbench.workbench import current

        workbench = current()
        if line := again.offers.line(workbench, self.shell):
            print(line)  # noqa: T201 - for who looks at this cell, and no part of a result
        return workbench

    def _help(self) -> str:
        from workbench.notebook import verbs

        usage = (
            "%agent REQUEST asks for something, in words: %agent total revenue by region of @sales\n%agent? has more."
        )
        return f"{usage}\n\n{verbs.status(self._workbench())}"
