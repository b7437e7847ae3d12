"""The middleware that ships with the gateway, one module each."""
