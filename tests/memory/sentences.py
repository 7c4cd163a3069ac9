"""Sentences to find and sentences to find them among."""

import itertools
import json
import random

from tests.memory.support import ROOT

PAIRS = ROOT / "tests" / "corpus" / "memory" / "pairs.json"

_SUBJECTS = (
    "The gardener",
    "A retired sailor",
    "My neighbour's cat",
    "The village choir",
    "An old lighthouse",
    "The baker's son",
    "A travelling circus",
    "The goalkeeper",
    "Our math teacher",
    "The grandmother",
    "A young violinist",
    "The postman",
    "The mountain guide",
    "A stray dog",
    "The chess club",
    "The ferry captain",
    "A street painter",
    "The beekeeper",
    "The museum guard",
    "A tired cyclist",
    "The bride",
    "The shoemaker",
    "A choir of frogs",
    "The stone bridge",
    "An astronaut",
    "The apple tree",
    "A wooden boat",
    "The night train",
    "The librarian",
    "A flock of geese",
)
_DEEDS = (
    "painted the kitchen door",
    "slept through the thunderstorm",
    "carried a basket of pears",
    "whistled an old waltz",
    "lost a glove in the snow",
    "waited beside the fountain",
    "told a story about dragons",
    "repaired the rocking chair",
    "danced until the candles went out",
    "planted tulips along the fence",
    "burned the pancakes again",
    "dreamed of distant islands",
    "climbed over the garden wall",
    "forgot an umbrella on the tram",
    "counted the stars from the roof",
    "baked bread with walnuts",
    "hid behind the velvet curtain",
    "crossed the river on foot",
    "learned to juggle oranges",
    "watched the swans drift by",
    "polished the brass trumpet",
    "wrote a poem on a napkin",
    "fed the ponies with carrots",
    "sang in the bath",
    "mended the fishing net",
    "picked wild blueberries",
    "framed a faded photograph",
    "lit a bonfire on the beach",
    "knitted a striped scarf",
    "tasted the plum jam",
)
_WHEN = (
    "before dawn",
    "on a rainy Sunday",
    "during the harvest",
    "after the wedding",
    "in the quiet chapel",
    "last winter",
)


def unrelated(count: int = 900, seed: int = 1) -> list[str]:
    """So many different sentences about nothing that anybody at work would ask for."""
    whole = [" ".join(parts) for parts in itertools.product(_SUBJECTS, _DEEDS, _WHEN)]
    return random.Random(seed).sample(whole, count)


def pairs() -> list[tuple[str, str]]:
    """Facts, each with a question in other words."""
    return [(pair["fact"], pair["question"]) for pair in json.loads(PAIRS.read_text("utf-8"))["pairs"]]


def keywords(fact: str) -> str:
    """Three content words of a fact, each in another form."""
    content = sorted({word for word in fact.split() if word.isalpha() and len(word) > 4}, key=lambda word: -len(word))
    return " ".join(word[:-1] if word.endswith("s") else word + "s" for word in content[:3])
