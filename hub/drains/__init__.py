"""How a shard of the receivers is drained: `drain.py` is the loop, the others are its parts."""
