"""Text, HTML and Markdown from anywhere, made safe to show: nothing runs, nothing loads, nothing hides."""

from __future__ import annotations

import html
from collections.abc import Collection
from urllib.parse import urlsplit

from workbench.core import hidden

MAX_TEXT = 20_000
_TAGS = {
    *("p", "br", "hr", "em", "strong", "del", "code", "pre", "blockquote", "ul", "ol", "li", "a"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"),
}


def clean_text(text: str, *, keep_lines: bool = False) -> str:
    """Text without terminal codes; control, invisible and direction characters are shown as `\\u{…}`.

    Line ends become spaces unless `keep_lines`. At most `MAX_TEXT` characters.
    """
    text = hidden.TERMINAL.sub("", text)
    if len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]}… {len(text) - MAX_TEXT:,} more characters"
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    ")
    if not keep_lines:
        text = " ".join(text.split("\n"))
    return hidden.escaped(text)


def escape(text: str, *, keep_lines: bool = False) -> str:
    """Cleaned text as HTML text, on one line."""
    return one_line(html.escape(clean_text(text, keep_lines=keep_lines)))


def one_line(source: str) -> str:
    """HTML with its line ends as entities. An export to Markdown takes outputs over as they are, and there a blank line
    ends HTML: what follows would be Markdown again, and load its pictures."""
    return source.replace("\n", "&#10;")


def safe_html(source: str, hosts: Collection[str] = ()) -> str:
    """HTML from anywhere, reduced to tags that only structure text: no script, style, class, picture or form.

    Links stay only where they lead to one of `hosts`: a click must not carry data to a place that a stranger chose.
    """
    import nh3

    cleaned = nh3.clean(
        source,
        tags=_TAGS,
        clean_content_tags={"script", "style", "iframe", "object", "embed", "svg", "math", "template", "noscript"},
        attributes={"a": {"href"}},
        # The cleaner lets titles and languages through on its own account: a title is text that nobody sees.
        attribute_filter=lambda tag, name, value: (
            value if name == "rel" or (name == "href" and host_of(value) in hosts) else None
        ),
        url_schemes={"http", "https"},
        link_rel="noopener noreferrer nofollow",
        strip_comments=True,
    )
    return one_line(cleaned)


def safe_markdown(source: str, hosts: Collection[str] = (), *, keep_lines: bool = False) -> str:
    """Markdown from anywhere as HTML; HTML inside it is shown, not obeyed. Links as in `safe_html`. `keep_lines`: lines
    end where they end in the source, not where the page is full."""
    import mistune

    text = clean_text(source, keep_lines=True)
    made = mistune.create_markdown(escape=True, hard_wrap=keep_lines, plugins=["table", "strikethrough"])(text)
    return safe_html(str(made), hosts)


def host_of(url: str) -> str:
    """The host that a browser would ask for a web address, "" when it is none or could be read in two ways.

    Browsers take a backslash for a slash, so that `https://evil.example\\@good.example/` leads to the first of the two.
    """
    if not url.isprintable() or any(c in url for c in " \\"):
        return ""
    try:
        parts = urlsplit(url)
        return (parts.hostname or "") if parts.scheme in ("http", "https") and "@" not in parts.netloc else ""
    except ValueError:
        return ""
