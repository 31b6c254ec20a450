"""The client: the session core on an asyncio event loop, with the API that applications use."""
