"""Ask a deployment in Azure OpenAI one question, with the key in `AZURE_OPENAI_API_KEY`."""

from __future__ import annotations

import argparse
import asyncio
import sys

from duologue import DuologueError, Endpoint, RealtimeClient


async def ask(resource: str, deployment: str, question: str) -> None:
    """Print the answer as it arrives."""
    # To use azure-identity instead of a key: token_provider=get_bearer_token_provider(
    #     DefaultAzureCredential(), "https://cognitiveservices.azure.com/.default")
    # For a resource without the GA API: api_version="2025-04-01-preview"
    endpoint = Endpoint.azure(resource, deployment=deployment)
    async with RealtimeClient(endpoint=endpoint, output_modalities=["text"]) as client:
        answer = client.send_user_message_content(question)
        async for delta in answer:
            print(delta.text or "", end="", flush=True)
        print()
        await answer  # the response has ended; this raises if it failed


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("question")
    parser.add_argument("--resource", required=True, help="https://my-resource.openai.azure.com")
    parser.add_argument("--deployment", default="gpt-realtime")
    options = parser.parse_args()
    try:
        asyncio.run(ask(options.resource, options.deployment, options.question))
    except (DuologueError, TimeoutError) as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
