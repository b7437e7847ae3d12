"""Pure algorithms of how much, how often and whether again. Time is passed in, never read."""
