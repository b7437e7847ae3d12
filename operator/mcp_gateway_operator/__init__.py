"""The operator: watches MCPGateway resources and keeps what they ask for running."""
