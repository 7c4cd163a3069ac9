"""An MCP server that does what it is told, and worse: lines of JSON over stdin and stdout, standard library only.

`argv[1]` is a file of JSON that is read anew for every request: `{"tools": [...], "does": {"name": behaviour}}`.
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


def answered(script: dict[str, Any], params: dict[str, Any], number: Any) -> dict[str, Any] | None:
    name, given = params["name"], params.get("arguments") or {}
    match script.get("does", {}).get(name, "echo"):
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
            send({"id": "q1", "method": "elicitation/create", "params": script["question"]})
            for line in sys.stdin:
                reply = json.loads(line)
                if reply.get("id") == "q1":
                    return said(json.dumps(reply.get("result", reply.get("error"))))
    return None


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        number, method = request.get("id"), request.get("method")
        script = json.loads(Path(sys.argv[1]).read_text())
        if number is None:
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
