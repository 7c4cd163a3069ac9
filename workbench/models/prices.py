"""What a call costs, by the offline price list of genai-prices. An unknown price is None, never zero."""

from __future__ import annotations

from workbench.models.base import Usage

OPENAI = "https://api.openai.com/v1"


def price(model: str, usage: Usage, base_url: str = OPENAI, *, is_image: bool = False) -> str | None:
    """US dollars as decimal text. None when the endpoint's price for the model is not known, or no tokens were counted.

    `is_image`: what came out was pictures, whose tokens often have a price of their own. The endpoint counts: a server
    on this machine that calls its model gpt-4o does not cost what OpenAI's does.
    """
    if not (usage.tokens_in or usage.tokens_out):
        return None
    import genai_prices

    pictures = {"output_image_tokens": usage.tokens_out} if is_image else {}
    try:
        found = genai_prices.calc_price(
            genai_prices.Usage(input_tokens=usage.tokens_in, output_tokens=usage.tokens_out, **pictures),
            model,
            provider_api_url=base_url,
        )
    except LookupError:
        return None
    return f"{found.total_price.normalize():f}"
