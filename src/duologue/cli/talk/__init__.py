"""`duologue talk`: a conversation in the terminal, with microphone and speaker."""
