"""Random JSON, texts and graphs for properties."""

import re
from typing import Any

from hypothesis import strategies as st

# A high surrogate straight before a low one is one character to JSON, so only lone ones can come back as they were.
any_text = st.text(st.characters(exclude_categories=()), max_size=20).filter(
    lambda text: not re.search("[\ud800-\udbff][\udc00-\udfff]", text)
)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | any_text
json_values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)
json_objects = st.dictionaries(any_text, json_values, max_size=5)


@st.composite
def graphs(draw: st.DrawFn, most: int = 10) -> dict[str, tuple[str, ...]]:
    """Step id → ids that come first, without cycles."""
    names = [f"s{number}" for number in range(1, draw(st.integers(1, most)) + 1)]
    return {
        name: tuple(draw(st.lists(st.sampled_from(names[:index]), max_size=3)) if index else ())
        for index, name in enumerate(names)
    }
