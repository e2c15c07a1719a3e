"""How what is owed is carried: `keeper.py` holds shards, `drain.py` is the loop."""
