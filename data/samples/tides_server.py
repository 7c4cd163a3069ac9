"""A small MCP server for the tutorial: invented tides of three harbours. Needs the package `mcp`."""

from __future__ import annotations

from mcp.server import MCPServer

HARBOURS = {"Lisbon": (3.8, ("04:10", "16:40")), "Porto": (3.5, ("03:55", "16:25")), "Faro": (3.3, ("03:20", "15:50"))}
server = MCPServer("tides")


@server.tool()
def harbours() -> list[str]:
    """The harbours that are known."""
    return sorted(HARBOURS)


@server.tool()
def high_water(harbour: str) -> dict[str, object]:
    """When the water is high, and how many metres."""
    if harbour not in HARBOURS:
        raise ValueError(f"no such harbour: {harbour}")
    metres, times = HARBOURS[harbour]
    return {"harbour": harbour, "metres": metres, "times": list(times)}


if __name__ == "__main__":
    server.run()
