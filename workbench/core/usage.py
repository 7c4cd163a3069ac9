"""What was used, in the units that budgets are set in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

What = Literal["calls", "tokens", "images", "seconds", "usd"]
"""calls: of tools and of models, each try. tokens: in and out. images: pictures that tools made. seconds: in which
tools and models worked, added up. usd: US dollars, where a price is known."""

Period = Literal["day", "month"]
"""A calendar day or month in UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """An amount of each thing that a budget limits."""

    calls: int = 0
    tokens: int = 0
    images: int = 0
    seconds: float = 0.0
    usd: Decimal = Decimal(0)

    def __add__(self, other: Use) -> Use:
        return Use(
            calls=self.calls + other.calls,
            tokens=self.tokens + other.tokens,
            images=self.images + other.images,
            seconds=self.seconds + other.seconds,
            usd=self.usd + other.usd,
        )

    def of(self, what: What) -> Decimal:
        """The amount of one thing."""
        amount: int | float | Decimal = getattr(self, what)
        return Decimal(str(amount))

    def dump(self) -> dict[str, Any]:
        """The amounts that are not zero, as JSON; money as decimal text."""
        amounts = {"calls": self.calls, "tokens": self.tokens, "images": self.images, "seconds": self.seconds}
        usd = {"usd": f"{self.usd:f}"} if self.usd else {}
        return {name: amount for name, amount in amounts.items() if amount} | usd


Price = Callable[[int, int], Decimal | None]
"""US dollars of so many tokens in and out, None where they are not known."""


def unpriced(tokens_in: int, tokens_out: int) -> None:
    """The price of what nobody has priced."""
    return


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a call of a model is likely to take, before it is made: tokens of its prompt and of a reply."""

    prompt: int
    reply: int
    price: Price = unpriced

    @property
    def is_unpriced(self) -> bool:
        """Whether the model has been asked for its price and does not know it."""
        return self.price is not unpriced and self.price(self.prompt, self.reply) is None

    @property
    def tokens(self) -> int:
        return self.prompt + self.reply

    @property
    def least(self) -> Decimal:
        """The price of the prompt alone."""
        return self.price(self.prompt, 0) or Decimal(0)

    @property
    def likely(self) -> Decimal:
        return self.price(self.prompt, self.reply) or Decimal(0)


def dollars(text: str | None) -> Decimal:
    """A price as `Reply.usd` gives it; one that is not known counts nothing."""
    try:
        return Decimal(text or 0)
    except InvalidOperation:
        return Decimal(0)


Limits = Mapping[tuple[What, Period], Decimal]
"""What a user may use in a period; what is not there is not limited."""
