"""Reads one page of the web as Markdown."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

from workbench import toolkit

PERMISSIONS = {"network": ["*"]}
USES = ["http"]
EFFECT = "read"
TIMEOUT = 60
EXAMPLES = ["read the page {url}", "summarise {url}"]

AGENT = "agent-workbench"
MAX_BYTES = 2_000_000
MAX_ROBOTS = 500_000
MAX_TEXT = 40_000
MAX_REDIRECTS = 5
BARE = ("text/plain", "text/markdown", "text/csv", "application/json", "application/xml", "text/xml")
UNSEEN = ("script", "style", "noscript", "template", "svg", "iframe", "object", "form", "nav", "footer", "aside")


def run(url: str, max_chars: int = 20_000) -> dict[str, Any]:
    """Return a page's title and its text as Markdown. Scripts are not run, and what a reader does not see is left out.

    Args:
        url: address of the page.
        max_chars: characters of text at most, up to 40,000; a longer page is cut, and says so.
    """
    place = address(url)
    for _ in range(MAX_REDIRECTS + 1):
        ask_robots(place)
        answer = toolkit.call("http", url=place, raw=True, cut=MAX_BYTES, headers={"user-agent": AGENT})
        to = answer["headers"].get("location", "")
        if not (300 <= answer["status"] < 400 and to):
            break
        place = address(urljoin(place, to))
        toolkit.progress(f"goes on to {place}")
    else:
        raise toolkit.Failed(f"{url} leads from page to page without end.")
    refuse(answer, place)
    page = read(base64.b64decode(answer["body"]), answer["headers"].get("content-type", ""), place)
    most = max(100, min(max_chars, MAX_TEXT))
    cut = len(page["text"]) > most or bool(answer.get("cut"))
    if len(page["text"]) > most:
        page["text"] = page["text"][:most].rstrip()
    notes = []
    if cut:
        why = f"only its first {MAX_BYTES // 1_000_000} MB were read" if answer.get("cut") else "the page goes on"
        notes.append(f"… cut: {why}.")
    toolkit.source(page["title"], place)
    text = "\n\n".join([page["text"] or "The page has no text.", *notes])
    return {
        "title": page["title"],
        "url": place,
        "text": text,
        "cut": cut,
        "formatted": f"{page['title']}\n{place}\n\n{text}",
    }


def address(text: str) -> str:
    """The address as it is asked for: https, without a fragment. Raises Failed for what is no web address."""
    bare = text.strip()
    try:
        parts = urlsplit(
            bare if re.match(r"[a-zA-Z][\w+.-]*:", bare) and not re.match(r"[\w.-]+:\d", bare) else f"https://{bare}"
        )
        host = parts.hostname or ""
    except ValueError:
        host, parts = "", urlsplit("")
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc or any(map(str.isspace, bare)):
        raise toolkit.Failed(f"{text[:200]!r} is no web address.", hint="Write it as https://example.com/page.")
    if parts.port not in (None, 80, 443):
        raise toolkit.Failed("Only the usual port of the web is read.", hint="Leave the port out of the address.")
    name = f"[{host}]" if ":" in host else host
    return urlunsplit(("https", name, parts.path or "/", parts.query, ""))


def refuse(answer: dict[str, Any], place: str) -> None:
    """Raises what an answer without a page means."""
    status = answer["status"]
    if 200 <= status < 300:
        return
    if status == 429 or status >= 500:
        raise toolkit.Try(f"{place} answered {status}.", answer.get("retry_after"))
    hints = {401: "The page wants a log-in.", 403: "The page is closed to programs.", 404: "Is the address right?"}
    raise toolkit.Failed(f"{place} answered {status}.", hint=hints.get(status, "Look at it in a browser."))


# robots.txt, as RFC 9309 has it


def ask_robots(place: str) -> None:
    """Raises Failed when the site asks programs not to read this page, Try when it cannot be asked."""
    parts = urlsplit(place)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    answer = toolkit.call(
        "http", url=f"https://{parts.netloc}/robots.txt", raw=True, cut=MAX_ROBOTS, headers={"user-agent": AGENT}
    )
    if answer["status"] >= 500:
        raise toolkit.Try(f"{parts.netloc} could not be asked what it lets programs read ({answer['status']}).")
    if answer["status"] != 200:
        return
    rules = base64.b64decode(answer["body"]).decode("utf-8", "replace")
    if not is_allowed(rules, path):
        raise toolkit.Failed(
            f"{parts.netloc} asks programs not to read this page (robots.txt).", hint="Read it in a browser."
        )


def is_allowed(robots: str, path: str) -> bool:
    """Whether a robots.txt lets us read a path: the longest rule that fits decides, and allowing wins a tie."""
    best, allowed = -1, True
    for allows, pattern in rules_for(robots):
        if not pattern:
            continue
        wild = re.escape(pattern).replace(r"\*", ".*")
        if re.match(f"{wild[:-2]}$" if wild.endswith(r"\$") else wild, path) and (
            len(pattern) > best or (len(pattern) == best and allows)
        ):
            best, allowed = len(pattern), allows
    return allowed


def rules_for(robots: str) -> Iterator[tuple[bool, str]]:
    """The rules for our name, else those for everybody."""
    groups: dict[str, list[tuple[bool, str]]] = {}
    agents: list[str] = []
    in_rules = False
    for line in robots.splitlines():
        key, _, value = line.partition("#")[0].partition(":")
        key, value = key.strip().lower(), value.strip()
        if key == "user-agent":
            if in_rules:
                agents, in_rules = [], False
            agents.append(value.lower())
            groups.setdefault(value.lower(), [])
        elif key in ("allow", "disallow") and agents:
            in_rules = True
            for agent in agents:
                groups[agent].append((key == "allow", value))
    yield from groups.get(AGENT, groups.get("*", []))


# The page


def read(data: bytes, kind: str, place: str) -> dict[str, str]:
    """Title and Markdown of a page. Raises Failed for what is no text."""
    mime, _, rest = kind.partition(";")
    mime = mime.strip().lower()
    charset = re.search(r"charset\s*=\s*[\"']?([\w.:-]+)", rest, re.I)
    is_html = "html" in mime or (not mime and b"<" in data[:200])
    if mime and not is_html and not mime.startswith("text/") and not mime.endswith(("json", "xml")):
        raise toolkit.Failed(f"{place} is {mime}, and not a page of text.", hint="Open it in a browser.")
    utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff") or (charset is not None and "16" in charset[1])
    if b"\0" in data and not utf16:
        raise toolkit.Failed(f"{place} is binary, and not a page of text.", hint="Open it in a browser.")
    from bs4.dammit import UnicodeDammit

    declared = [charset[1]] if charset else []
    text = UnicodeDammit(data, declared, is_html=is_html).unicode_markup
    if text is None:
        raise toolkit.Failed(f"The characters of {place} cannot be read.", hint="Open it in a browser.")
    if not is_html:
        return {"title": place, "text": text.replace("\r\n", "\n").strip()}
    try:
        return markdown(text, place)
    except RecursionError:
        raise toolkit.Failed(f"{place} is nested too deep to be read.", hint="Open it in a browser.") from None


def markdown(source: str, place: str) -> dict[str, str]:
    """Title and text of an HTML page: its main part, where it names one, without what a reader does not see."""
    import bs4
    from markdownify import MarkdownConverter

    soup = bs4.BeautifulSoup(source, "html.parser")
    title = " ".join(soup.title.get_text().split()) if soup.title else ""
    for comment in soup.find_all(string=lambda text: isinstance(text, bs4.element.PreformattedString)):
        comment.extract()
    for element in soup.find_all(UNSEEN):
        element.decompose()
    for element in soup.find_all(is_hidden):
        if not element.decomposed:
            element.decompose()
    main = soup.find("main") or soup.find("article") or soup.body or soup
    if len(main.get_text(strip=True)) < 200 <= len((soup.body or soup).get_text(strip=True)):
        main = soup.body or soup
    for link in main.find_all("a"):
        to = urljoin(place, str(link.get("href") or ""))
        if to.startswith(("https://", "http://")):
            link["href"] = to
        else:
            link.unwrap()
    for image in main.find_all("img"):
        said = str(image.get("alt") or "").strip()
        image.replace_with(f"[picture: {said}]" if said else "")
    text = MarkdownConverter(heading_style="ATX", bullets="-").convert_soup(main)
    lines = (line.rstrip() for line in text.splitlines())
    return {"title": title[:300] or place, "text": re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()}


def is_hidden(element: Any) -> bool:
    """Whether an element is there for programs only."""
    if getattr(element, "attrs", None) is None:
        return False
    style = str(element.get("style") or "").replace(" ", "").lower()
    return (
        element.has_attr("hidden")
        or str(element.get("aria-hidden")).lower() == "true"
        or "display:none" in style
        or "visibility:hidden" in style
        or "font-size:0" in style
        or "opacity:0;" in f"{style};"
    )
