"""What one run may use: as a limit in money, tokens, steps, calls and seconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workbench.core.errors import Refused

Limited = Literal["usd", "tokens", "steps", "calls", "seconds"]
"""usd: US dollars of priced model calls. tokens: in and out. steps: steps that are started. calls: of tools and of
models, each try. seconds: of the run from its start; while a person is asked, the clock stands."""

LIMITED: tuple[Limited, ...] = get_args(Limited)
EXAMPLE = "usd=0.5,calls=20"


class Budget(BaseModel):
    """Limits of one run. What is None is not limited."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    usd: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    tokens: Annotated[int, Field(ge=0)] | None = None
    steps: Annotated[int, Field(ge=0)] | None = None
    calls: Annotated[int, Field(ge=0)] | None = None
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    def narrowed(self, other: Budget | None) -> Budget:
        """The smaller of each two limits."""
        if other is None:
            return self
        both = {name: [getattr(self, name), getattr(other, name)] for name in LIMITED}
        least = {name: min((x for x in two if x is not None), default=None) for name, two in both.items()}
        return Budget.model_validate(least)

    def limits(self) -> dict[Limited, float | int]:
        """What is limited, and to how much."""
        return {name: limit for name in LIMITED if (limit := getattr(self, name)) is not None}

    def __str__(self) -> str:
        return ", ".join(said(name, limit) for name, limit in self.limits().items()) or "no limit"


def said(name: Limited, amount: float) -> str:
    """An amount in words: "$0.50", "20 calls"."""
    if name == "usd":
        return f"${amount:.2f}" if amount >= 0.01 or not amount else f"${amount:.6f}".rstrip("0")
    number = f"{amount:,.2f}".rstrip("0").rstrip(".")
    return f"{number} {name.removesuffix('s') if number == '1' else name}"


def read(text: str | Mapping[str, Any] | Budget | None) -> Budget | None:
    """The budget that a text ("usd=0.5,calls=20") or a mapping spells; None for an empty one. Raises Refused."""
    if text is None or isinstance(text, Budget):
        return text
    fields: dict[str, Any] = {}
    if isinstance(text, str):
        for pair in filter(None, (part.strip() for part in text.split(","))):
            name, equals, amount = (part.strip() for part in pair.partition("="))
            if not equals or name in fields:
                raise _unreadable(pair)
            fields[name] = amount
    else:
        fields = dict(text)
    if wrong := sorted(set(fields) - set(LIMITED)):
        raise _unreadable(wrong[0])
    try:
        return Budget.model_validate(fields) if fields else None
    except ValidationError as error:
        name = ".".join(map(str, error.errors()[0]["loc"]))
        raise _unreadable(f"{name}={fields.get(name)}") from None


def _unreadable(part: str) -> Refused:
    return Refused(
        f"{part[:60]!r} is no part of a budget.", hint=f"Write for example {EXAMPLE}; there are {', '.join(LIMITED)}."
    )
