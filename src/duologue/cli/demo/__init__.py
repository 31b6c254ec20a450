"""`duologue demo`: a spoken conversation, shown as it happens."""
