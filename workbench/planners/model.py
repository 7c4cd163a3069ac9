"""A language model as the planner: asked for a plan, shown what is wrong with it, and later asked for the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from workbench.core import plan as plans
from workbench.core.errors import PlanInvalid, Refused, Unavailable
from workbench.core.outcome import Outcome
from workbench.core.plan import Plan
from workbench.core.progress import PASSED
from workbench.core.request import Quoted, Request
from workbench.core.tools import ToolSpec
from workbench.models.base import Heard, Message, Model, Reply
from workbench.models.metered import metered
from workbench.planners import prompt
from workbench.planners.base import Answer, Planned, Tell, Watched
from workbench.planners.checked import checked
from workbench.planners.draft import Drafting
from workbench.planners.parts import messages as chat
from workbench.planners.parts import one_line
from workbench.planners.quoted import seen, with_pictures
from workbench.planners.reply import read_json, without_thoughts
from workbench.planners.results import answer_parts
from workbench.policy.sanitize import without_lone_surrogates

REPAIRS = 2
MAX_SHOWN_CHARS = 20_000
"""How much of its own broken reply a model is shown again."""

_OPTIONAL = ("id", "title", "needs", "timeout", "retry", "if", "foreach", "on_error", "approve")


class ModelPlanner:
    """Plans and answers with `model`; `persona` is added to its instructions: a text, or texts by their origins.
    `quoted`: what the user put beside the request, which an answer may need too."""

    name = "model"

    def __init__(self, model: Model, persona: str | Mapping[str, str] = "", quoted: Sequence[Quoted] = ()) -> None:
        self.model = model
        self._persona = persona
        self._quoted = quoted

    async def plan(self, request: Request, tools: Mapping[str, ToolSpec], tell: Tell) -> Planned:
        if not tools:
            raise Refused(
                "There are no tools to plan with.", hint="`workbench tools` says which were found, and why not."
            )
        asked = with_pictures(chat(prompt.plan_parts(request, tools, self._persona)), request.quoted)
        planned = await self._planned(asked, "plan", tell, tools, lambda reply: self._read(reply, request, tools))
        if planned is None:
            raise PlanInvalid(["the plan has no steps"])
        return planned

    async def look(
        self, request: Request, outcome: Outcome, tools: Mapping[str, ToolSpec], tell: Tell
    ) -> Planned | None:
        asked = with_pictures(chat(prompt.look_parts(request, outcome, tools, self._persona)), request.quoted)
        earlier = {step.id: step.state in PASSED for step in outcome.steps}
        return await self._planned(asked, "look", tell, tools, lambda reply: self._more(reply, request, tools, earlier))

    async def _planned(
        self,
        asked: Sequence[Message],
        purpose: str,
        tell: Tell,
        tools: Mapping[str, ToolSpec],
        read: Callable[[Reply], Plan | None],
    ) -> Planned | None:
        """What `read` makes of the reply; the model is shown its errors and asked again at most `REPAIRS` times."""
        schema = prompt.plan_schema(tools)
        messages, errors = list(asked), [""]
        told = {name.removeprefix("tool ") for message in asked for name, _ in message.parts}
        for attempt in range(1 + REPAIRS):
            reply = await self._ask(messages, "repair" if attempt else purpose, tell, schema)
            try:
                made = read(reply)
            except PlanInvalid as error:
                errors = error.errors
                shown = Message(role="assistant", content=reply.text[:MAX_SHOWN_CHARS])
                unseen = [tool for name, tool in tools.items() if name in reply.text and name not in told]
                messages = [*asked, shown, Message(role="user", content=prompt.repair(errors, unseen))]
            else:
                mended = (f"The model mended its plan {attempt} time{'s'[: attempt - 1]}.",) if attempt else ()
                notes = (*mended, *(seen(self._quoted, reply) if purpose == "plan" else ()))
                return Planned(plan=made, planner=self.name, model=reply.model, notes=notes) if made else None
        hint = f"{self.model.name} made no valid plan in {1 + REPAIRS} tries: ask in other words, or use another model."
        raise PlanInvalid(errors, hint=hint, model=self.model.name)

    async def answer(self, outcome: Outcome, tell: Tell) -> Answer:
        parts = answer_parts(outcome, self._persona, self._quoted)
        reply = await self._ask(with_pictures(chat(parts), self._quoted), "answer", tell)
        text = without_thoughts(reply.text).strip()
        if not text:
            raise Unavailable(f"{reply.model} thought and said nothing.", hint="Try again, or use another model.")
        return Answer(text=checked(text, outcome, [one.text for one in self._quoted]), planner=reply.model)

    def _read(self, reply: Reply, request: Request, tools: Mapping[str, ToolSpec]) -> Plan:
        """The checked plan of a reply. Raises Refused when the model declined, PlanInvalid when the plan is no good."""
        data = self._data(reply)
        if request.quoted and isinstance(data, dict) and data.get("steps") == []:
            return Plan(goal=one_line(str(data.get("goal") or ""), 400), steps=())  # what is quoted answers by itself
        return plans.read(data, tools, [variable.name for variable in request.variables])

    def _more(
        self, reply: Reply, request: Request, tools: Mapping[str, ToolSpec], earlier: Mapping[str, bool]
    ) -> Plan | None:
        """The checked further steps of a reply, None when it has none. Raises as `_read` does."""
        data = self._data(reply)
        if data == [] or (isinstance(data, dict) and data.get("steps") == []):
            return None
        return plans.read(data, tools, [variable.name for variable in request.variables], earlier)

    def _data(self, reply: Reply) -> Any:
        """The JSON of a reply. Raises Refused when the model declined, PlanInvalid when it is neither."""
        data = _without_nulls(read_json(reply.text))
        if isinstance(data, dict):
            refusal = data.pop("refusal", None)
            if isinstance(refusal, str) and refusal.strip():
                if data.get("steps"):
                    raise PlanInvalid(["the reply has both steps and a refusal; send one of them"])
                why = f"{self.model.name} declined: {one_line(refusal, 500)}"
                raise Refused(why, hint="Ask in other words, or offer other tables.")
        return data

    async def _ask(
        self, messages: Sequence[Message], purpose: str, tell: Tell, schema: Mapping[str, Any] | None = None
    ) -> Reply:
        """The model's whole reply, told with its cost. A failed call is told too, and raised."""
        heard: Heard | None = None
        if isinstance(tell, Watched) and tell.watched:
            watched, drafting = tell, Drafting(purpose)

            def heard(text: str) -> None:
                watched.draft(drafting.after(without_lone_surrogates(text)))

        reply = await metered(self.model, messages, purpose, tell, schema, heard=heard)
        return replace(reply, text=without_lone_surrogates(reply.text))


def _without_nulls(data: Any) -> Any:
    """The plan without fields that a model filled with null because the schema names them."""
    if isinstance(data, list):
        return [_without_nulls({"steps": [step]})["steps"][0] for step in data]
    if not isinstance(data, dict):
        return data
    kept = {key: value for key, value in data.items() if value is not None or key == "steps"}
    if isinstance(kept.get("steps"), list):
        kept["steps"] = [
            {key: value for key, value in step.items() if value is not None or not _is_left_out(key, step)}
            if isinstance(step, dict)
            else step
            for step in kept["steps"]
        ]
    return kept


def _is_left_out(key: str, step: Mapping[str, Any]) -> bool:
    """Whether a null stands for nothing said. As a default it is a value, where there is a use for one."""
    return key in _OPTIONAL or (key == "default" and step.get("on_error") != "default")
