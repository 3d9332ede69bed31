"""The paper's tables and figures, as jobs that are run, tested against each other and set beside its numbers."""
