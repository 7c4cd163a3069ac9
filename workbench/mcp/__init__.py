"""Tools of MCP servers: declared by the user or a project, trusted as they are, called under the whole policy."""
