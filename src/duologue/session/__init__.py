"""What a conversation is: events and the time in, updates and frames out; pure, nothing waits."""
