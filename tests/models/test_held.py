"""What is set aside for a call of a model before it is made."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from workbench.core.usage import Estimate
from workbench.models.base import Message, Reply, Shown
from workbench.models.held import HeldImages, HeldModel, Spent
from workbench.models.images import Painted, Wanted


class Model:
    """Answers anything, and makes any picture."""

    name, endpoint = "both", ""

    async def complete(self, messages: Any, **how: Any) -> Reply:
        return Reply(text="a lighthouse", model=self.name)

    async def paint(self, wanted: Wanted, progress: Any) -> Painted:
        return Painted(pngs=(b"",) * wanted.count, seeds=(None,) * wanted.count, model=self.name)


class Admitted(list[Estimate]):
    @asynccontextmanager
    async def __call__(self, estimate: Estimate) -> AsyncIterator[Spent]:
        self.append(estimate)
        yield lambda **used: None


async def test_a_picture_that_is_made_takes_more_of_a_budget_than_one_that_is_shown():
    admitted, model = Admitted(), Model()
    shown = Message(role="user", content="", pictures=(Shown("@fig", b""),) * 2)
    await HeldModel(model, [admitted], str, str).complete([shown])
    await HeldImages(model, [admitted], str).paint(Wanted(prompt="", count=2), print)  # type: ignore[arg-type]  # paints only
    assert [(one.prompt, one.reply) for one in admitted] == [(2_000, 1_000), (0, 8_000)]
