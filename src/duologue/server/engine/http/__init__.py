"""The `http:` and `https:` engines: any OpenAI-compatible endpoint, stage by stage."""
