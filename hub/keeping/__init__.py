"""How long what is stored is kept, and how a driver's data are erased."""
