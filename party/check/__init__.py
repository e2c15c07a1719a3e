"""The party check: does a party do what the text says? One file a chapter; chapters.py runs all."""
