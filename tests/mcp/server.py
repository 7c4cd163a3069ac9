"""An MCP server that does what it is told, and worse: lines of JSON over stdin and stdout, standard library only.

`argv[1]` is a file of JSON that is read anew for every request: `{"tools": [...], "does": {"name": behaviour}}`. It
serves several calls at once: what holds a call goes on with the next line, except `silence`, which stops everything.
"""

from __future__ import annotations

import base64
import json
import os
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any

TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


def png() -> str:
    """One red dot."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    data = zlib.compress(b"\0\xff\0\0")
    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    whole = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return base64.b64encode(whole).decode()


def send(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], **more}


HELD: dict[Any, str] = {}
"""Calls that are under way: number → text."""
CANCELLED: list[str] = []
QUESTIONS: dict[Any, Any] = {}
"""Number of a question → that of the call."""
ASKING: list[Any] = []
ANSWERS: list[Any] = []
AT_ONCE: list[int] = []


def progress(number: Any, text: str) -> None:
    send({"method": "notifications/progress", "params": {"progressToken": number, "progress": 1, "message": text}})


def hold(number: Any, text: str) -> None:
    HELD[number] = text
    progress(number, "held")


def release(order: list[str] | None = None) -> None:
    """Answer every call that is held with its own text, in the order of their texts."""
    for number, text in sorted(HELD.items(), key=lambda item: order.index(item[1]) if order else 0):
        send({"id": number, "result": said(text)})
    HELD.clear()


def ask(number: Any, question: dict[str, Any]) -> None:
    QUESTIONS[f"q{number}"] = number
    send({"id": f"q{number}", "method": "elicitation/create", "params": question})


def replied(reply: dict[str, Any]) -> None:
    """The client has answered a request of ours."""
    number = QUESTIONS.pop(reply["id"], None)
    given = reply.get("result", reply.get("error"))
    ANSWERS.append(given)
    if reply["id"] == "count":
        AT_ONCE.append(len(HELD))
        release()
    elif number is not None:
        send({"id": number, "result": said(json.dumps(given))})


def cancelled(script: dict[str, Any], number: Any) -> None:
    text = HELD.pop(number, None)
    if text is None:
        return
    CANCELLED.append(text)
    if script.get("late"):  # a question of a call that is given up
        ask(f"late {number}", script["question"])


def answered(script: dict[str, Any], params: dict[str, Any], number: Any) -> dict[str, Any] | None:
    name, given = params["name"], params.get("arguments") or {}
    text = str(given.get("text", ""))
    match script.get("does", {}).get(name, "echo"):
        case "hold":
            hold(number, text)
        case "release":
            release()
            return said("released")
        case "meet":  # nobody is answered before as many have come as are in the order
            hold(number, text)
            if len(HELD) == len(script["order"]):
                release(script["order"])
        case "count":  # how many there are when the client has answered a question that came after the call
            hold(number, text)
            send({"id": "count", "method": "ping"})
        case "seen":
            return said(json.dumps({"cancelled": CANCELLED, "answers": ANSWERS, "at_once": AT_ONCE}))
        case "lie and release":
            send({"id": number, "result": said("", structuredContent={"n": "one"})})
            release()
        case "echo":
            return said(str(given.get("text", "")))
        case "pid":
            return said(str(os.getpid()))
        case "env":
            return said(json.dumps(dict(os.environ)))
        case "picture":
            blocks: list[dict[str, Any]] = [{"type": "image", "data": png(), "mimeType": "image/png"}]
            blocks += [{"type": "image", "data": "AAAA", "mimeType": "image/jpeg"}, {"type": "text", "text": "a dot"}]
            return {"content": blocks}
        case "structure":
            return said("", structuredContent={"n": 1, "rows": [1, 2]})
        case "lie":
            return said("", structuredContent={"n": "one"})
        case "error":
            return said("no such city", isError=True)
        case "crash":
            sys.stderr.write("out of luck\n")
            sys.stderr.flush()
            os._exit(3)
        case "silence":
            token = params.get("_meta", {}).get("progressToken")
            send({"method": "notifications/progress", "params": {"progressToken": token, "progress": 1}})
            time.sleep(600)
        case "big":
            sys.stdout.write(
                '{"jsonrpc": "2.0", "id": ' + json.dumps(number) + ', "result": {"content": [{"type": "text", "text": "'
            )
            for _ in range(1600):
                sys.stdout.write("x" * 65536)  # 100 MB in one message
            sys.stdout.write('"}]}}\n')
        case "chatter":
            while True:
                send({"method": "notifications/message", "params": {"level": "info", "data": "and another thing"}})
        case "complain":
            while True:
                sys.stderr.write("x" * 65536)
        case "garbage":
            sys.stdout.write("hello, this is no JSON\n{\n")
            sys.stdout.flush()
            return said("fine")
        case "shape":
            return {"content": "not a list"}
        case "child":
            # A daemon of its own session that holds none of the pipes.
            child = subprocess.Popen(["sleep", "600"], start_new_session=True, stdin=-3, stdout=-3, stderr=-3)
            return said(str(child.pid))
        case "ask":
            ASKING.append(number)
    if len(ASKING) + len(HELD) >= script.get("here", 1):  # as many calls have to be here before one asks
        for asking in ASKING:
            ask(asking, script["question"])
            progress(asking, "asked")
        ASKING.clear()
    return None


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        number, method = request.get("id"), request.get("method")
        script = json.loads(Path(sys.argv[1]).read_text())
        if method is None:
            replied(request)
            continue
        if number is None:
            if method == "notifications/cancelled":
                cancelled(script, request["params"]["requestId"])
            continue
        if method == "initialize":
            facts = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {"listChanged": True}}}
            send({"id": number, "result": facts | {"serverInfo": {"name": "scripted", "version": "1"}}})
        elif method == "tools/list":
            page: dict[str, Any] = {"tools": script["tools"]}
            if script.get("endless"):
                page["nextCursor"] = "more"
            send({"id": number, "result": page})
        elif method == "tools/call":
            result = answered(script, request["params"], number)
            if result is not None:
                send({"id": number, "result": result})
        else:
            send({"id": number, "error": {"code": -32601, "message": f"no method {method}"}})


if __name__ == "__main__":
    main()
