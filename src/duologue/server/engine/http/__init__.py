"""The `http:` and `https:` engines: stages of any OpenAI-compatible endpoint."""
