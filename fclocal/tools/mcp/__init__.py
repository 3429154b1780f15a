"""MCP servers as a toolset. Only session.py, streams.py and http.py know the SDK; the first start loads it."""

from fclocal.tools.mcp.servers import McpServers as McpServers
