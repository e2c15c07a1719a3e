"""Times for operators: sortable, with seconds."""
