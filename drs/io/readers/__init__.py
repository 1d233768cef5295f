"""What reads the exports and live inventories of others: one file a source."""
