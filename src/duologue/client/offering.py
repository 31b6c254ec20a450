"""What an application can offer a model: functions of its own, and the approval of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from duologue.client.context import ToolContext
from duologue.client.sending import Sending
from duologue.client.session_keywords import function_tool
from duologue.client.tool_schema import ToolFunction
from duologue.client.tools import Tool, ToolOptions
from duologue.protocol.ga import McpApprovalResponse
from duologue.protocol.model import UNSET

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from duologue.client.context import CallContext
    from duologue.client.handles import Pending
    from duologue.client.tools import ToolHandler
    from duologue.protocol.ga import FunctionTool, Session

__all__ = ["Offering"]

F = TypeVar("F", bound="Callable[..., object]")


class Offering(Sending):
    """The part of `RealtimeClient` that offers tools.

    The calls of a response run side by side, each on a task of its own: coroutine functions on the
    event loop, others in a thread, both with the context variables of `connect`. When all are
    answered and the response has ended, the next one is asked for. A call that fails is answered by
    `{"error": "…"}`, and told as an `ErrorUpdate` of a `ToolFailed`. Leaving the session cancels
    what still runs; a function in a thread runs to its end.

    Calls of tools that stand in the configuration by hand are left to the application; calls of
    names that nobody declared are answered with an error.
    """

    _context_class: type[CallContext] = ToolContext

    @overload
    def tool(self, function: F, /) -> F: ...
    @overload
    def tool(
        self,
        /,
        *,
        name: str | None = None,
        description: str | None = None,
        **options: Unpack[ToolOptions],
    ) -> Callable[[F], F]: ...
    def tool(
        self,
        function: F | None = None,
        /,
        *,
        name: str | None = None,
        description: str | None = None,
        **options: Unpack[ToolOptions],
    ) -> F | Callable[[F], F]:
        """Offer the model a function, as a decorator with or without options.

        The schema comes from the signature, the descriptions from the docstring and `Annotated`. A
        parameter of the class `ToolContext` is not shown to the model: it gets the call. What is
        returned is told as JSON, a text as it is. It may be used before the session and in it.

        Args:
            function: The function; it is returned as it is.
            name: What the model calls it, instead of its own name.
            description: What the model is told of it, instead of the docstring's text.
            options: See `ToolOptions`.

        Raises:
            ConfigurationError: If no schema can say its parameters, an option is wrong, or there is
                a tool of this name.
        """

        def offer(function: F) -> F:
            read = ToolFunction(function, name=name, about=description, context=self._context_class)
            self._offer(read.definition, Tool.of(read, options))
            return function

        return offer if function is None else offer(function)

    def add_tool(
        self,
        definition: FunctionTool | Mapping[str, Any],
        handler: ToolHandler,
        **options: Unpack[ToolOptions],
    ) -> Pending[Session]:
        """Offer the model a function with a schema of your own; the session is updated.

        Args:
            definition: Name, description and `parameters` (JSON Schema), as a struct or as JSON.
            handler: Takes the arguments; see `ToolHandler`.
            options: See `ToolOptions`.

        Raises:
            ConfigurationError: If it has no name, or that of another tool, or an option is wrong.
        """
        return self._offer(function_tool(definition), Tool.of(handler, options))

    def remove_tool(self, name: str) -> Pending[Session]:
        """Take back a tool; the session is updated. Its calls that run are finished.

        Raises:
            ConfigurationError: If it was not added.
        """
        change = self._setup.configuration.remove(name)
        del self._setup.tools.handlers[name]
        return self._update(change)

    def approve_mcp_call(self, request_id: str) -> Pending[str]:
        """Let the API call a tool of an MCP server; awaiting returns the id of the new item.

        Args:
            request_id: The id of the item of type `mcp_approval_request`.
        """
        answer = McpApprovalResponse(
            id=self._driver.core.new_id("mcpr"), approval_request_id=request_id, approve=True
        )
        return self.create_item(answer)

    def reject_mcp_call(self, request_id: str, *, reason: str | None = None) -> Pending[str]:
        """Forbid a call of an MCP server's tool; see `approve_mcp_call`.

        Args:
            request_id: The id of the item of type `mcp_approval_request`.
            reason: For the model.
        """
        answer = McpApprovalResponse(
            id=self._driver.core.new_id("mcpr"),
            approval_request_id=request_id,
            approve=False,
            reason=UNSET if reason is None else reason,
        )
        return self.create_item(answer)

    def _offer(self, definition: FunctionTool, tool: Tool) -> Pending[Session]:
        change = self._setup.configuration.add(definition)
        name = str(definition.name)
        self._setup.tools.handlers[name] = tool
        try:
            return self._update(change)
        except BaseException:  # the session can have none
            self._setup.configuration.remove(name)
            del self._setup.tools.handlers[name]
            raise
