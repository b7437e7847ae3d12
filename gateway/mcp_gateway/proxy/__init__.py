"""What a gateway is: an exchange carried through layers to a route, a provider, and back."""
