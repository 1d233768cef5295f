"""A plan told: as a document for scripts, as tables for a terminal, as a page with figures."""
