"""What a call costs, by the offline price list of genai-prices. An unknown price is None, never zero."""

from __future__ import annotations

from workbench.models.base import Usage

OPENAI = "https://api.openai.com/v1"


def price(
    model: str, usage: Usage, base_url: str = OPENAI, *, is_image: bool = False, seconds: float = 0
) -> str | None:
    """US dollars as decimal text. None when the endpoint's price for the model is not known, or no tokens were counted.

    `is_image`: what came out was pictures, whose tokens often have a price of their own. `seconds`: of sound that was
    heard, where the server bills by time. The endpoint counts: a server on this machine that calls its model gpt-4o
    does not cost what OpenAI's does.
    """
    if not (usage.tokens_in or usage.tokens_out or seconds):
        return None
    import genai_prices

    more: dict[str, float] = {"output_image_tokens": usage.tokens_out} if is_image else {}
    if seconds:
        more["audio_seconds"] = seconds
    try:
        found = genai_prices.calc_price(
            genai_prices.Usage(input_tokens=usage.tokens_in, output_tokens=usage.tokens_out, **more),
            model,
            provider_api_url=base_url,
        )
    except LookupError:
        return None
    if seconds and not found.total_price:
        return None  # it has a price for tokens, of which none were counted
    return f"{found.total_price.normalize():f}"
