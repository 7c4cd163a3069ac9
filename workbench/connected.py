"""The models that are connected: for text, pictures, speech and writing down what is said.

Each is chosen from the settings at its first use and kept, since a model has found out what its endpoint can do. What a
run gets is held: to its budgets and its tries, and without keys in what comes back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from workbench.core.events import Stream
from workbench.core.settings import Settings
from workbench.core.usage import Price
from workbench.models.base import Model, Patient
from workbench.models.choose import choose, choose_images, choose_speech, choose_transcription
from workbench.models.held import HeldImages, HeldModel, HeldSpeech, HeldTranscription, price_of
from workbench.models.images import ImageModel
from workbench.models.openai import OpenAIModel
from workbench.policy.budgets import Budgets
from workbench.policy.run_budget import RunBudget
from workbench.policy.secrets import Secrets
from workbench.registry import plugged

T = TypeVar("T")


class Connected:
    """The models of one workbench. `own` is the one that was handed in: it stands for a request that names none."""

    def __init__(self, settings: Settings, own: Model | None, budgets: Budgets, secrets: Secrets) -> None:
        self._settings = settings
        self._own = own
        self._budgets = budgets
        self._secrets = secrets
        self._kept: dict[tuple[str, str | None], Any] = {}
        """What was chosen, by what for and the name that was asked for; None where nothing is connected."""

    def usual(self) -> Model | None:
        """The model for text of a request that names none."""
        return self._own or chosen_model(self._settings)

    def model(self, name: str | None, stream: Stream, budget: RunBudget) -> Model | None:
        """The model of a request, by its name, for the calls of one run; None when none is connected."""

        def named(settings: Settings) -> Model | None:
            return chosen_model(settings.model_copy(update={"model": name})) if name else self.usual()

        if (chosen := self._once("text", named, name)) is None:
            return None
        mine = chosen.within(budget.retries) if isinstance(chosen, Patient) else chosen
        return HeldModel(mine, self._admits(stream, budget), self._secrets.redact, self._secrets.begun)

    def price(self, name: str | None) -> Price | None:
        """What gives the price of so many tokens in and out of a request's model, None when there is none to ask."""
        return price_of(self._kept.get(("text", name)))

    def images(self, stream: Stream, budget: RunBudget) -> ImageModel | None:
        """The model for pictures, for the calls of one run; None when none is connected."""
        if (chosen := self._once("images", choose_images)) is None:
            return None
        return HeldImages(chosen.within(budget.retries), self._admits(stream, budget), self._secrets.redact)

    def speech(self, stream: Stream, budget: RunBudget) -> HeldSpeech | None:
        """The model that reads aloud, for the calls of one run; None when none is connected."""
        if (chosen := self._once("speech", choose_speech)) is None:
            return None
        return HeldSpeech(chosen.within(budget.retries), self._admits(stream, budget))

    def transcription(self, stream: Stream, budget: RunBudget) -> HeldTranscription | None:
        """The model that writes down speech, for the calls of one run; None when none is connected."""
        if (chosen := self._once("transcription", choose_transcription)) is None:
            return None
        return HeldTranscription(chosen.within(budget.retries), self._admits(stream, budget), self._secrets.redact)

    async def close(self) -> None:
        """Let go of connections. Idempotent."""
        for (purpose, _), chosen in self._kept.items():
            if isinstance(chosen, OpenAIModel) or (purpose != "text" and chosen is not None):
                await chosen.close()

    def _once(self, purpose: str, choose: Callable[[Settings], T | None], name: str | None = None) -> T | None:
        if (purpose, name) not in self._kept:
            self._kept[purpose, name] = choose(self._settings)
        kept: T | None = self._kept[purpose, name]
        return kept

    def _admits(self, stream: Stream, budget: RunBudget) -> tuple[Any, Any]:
        return self._budgets.for_model(stream.tell), budget.for_model


def chosen_model(settings: Settings) -> Model | None:
    """The model for text that the settings name: of a plug-in, where the name begins with that of one. None when none
    is connected. Raises Unavailable."""
    name, _, rest = settings.model.partition(":")
    make: Callable[[str, Settings], Model] | None = plugged.load("workbench.models", name) if name else None
    return make(rest, settings) if make is not None else choose(settings)
