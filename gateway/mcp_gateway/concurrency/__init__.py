"""Who waits, who runs, and how long until the next try: the parts without a protocol or policy."""
