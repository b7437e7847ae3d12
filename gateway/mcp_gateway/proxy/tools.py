"""The tools a gateway shows to MCP clients: their names, descriptions and JSON schemas.

The schemas teach: a model that reads them can make a right call without other documentation.
Fields that are not named are passed on to the provider as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

CHAT = "chat"
MODELS = "models"
CHAT_SUFFIX = "_chat"

_MESSAGES: dict[str, Any] = {
    "type": "array",
    "minItems": 1,
    "description": "The conversation so far, oldest first.",
    "items": {
        "type": "object",
        "properties": {
            "role": {
                "type": "string",
                "enum": ["system", "user", "assistant", "tool"],
                "description": "Who speaks.",
            },
            "content": {
                "description": "What is said: text, or a list of content parts "
                "(text, image_url) for models that see.",
            },
        },
        "required": ["role"],
    },
    "examples": [[{"role": "user", "content": "Hello!"}]],
}

_SETTINGS: dict[str, Any] = {
    "messages": _MESSAGES,
    "max_tokens": {
        "type": "integer",
        "minimum": 1,
        "description": "Longest answer, in tokens. Left out, the provider's default holds.",
    },
    "temperature": {
        "type": "number",
        "minimum": 0,
        "maximum": 2,
        "description": "0 is the most predictable. Some models accept only their own value.",
    },
    "top_p": {"type": "number", "minimum": 0, "maximum": 1, "description": "Nucleus sampling."},
    "stop": {"description": "A string, or a list of strings, at which the answer ends."},
    "tools": {
        "type": "array",
        "description": "Functions the model may ask to be called, in the OpenAI form. "
        "Its wishes come back in `tool_calls`.",
    },
    "tool_choice": {"description": "`auto`, `none`, or the one function to call."},
    "thinking": {
        "type": "object",
        "description": 'Kimi and GLM: {"type": "enabled"} or {"type": "disabled"}.',
    },
    "response_format": {
        "type": "object",
        "description": '{"type": "json_object"} for an answer that is JSON.',
    },
}

# Clients of the handshake era check failed results against the output schema too, so each
# schema has a place for the error.
_ERROR: dict[str, Any] = {
    "type": "object",
    "description": "In place of an answer, where the result is an error.",
    "properties": {
        "code": {"type": "string", "description": "A stable word, such as RateLimited."},
        "message": {"type": "string"},
        "provider": {"type": "string", "description": "Whose failure it is."},
        "retryAfter": {"type": "number", "description": "Seconds to wait before another try."},
    },
    "required": ["code", "message"],
}

_ANSWER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "The gateway's id of this call."},
        "content": {"type": "string", "description": "The answer's text."},
        "reasoning_content": {"type": "string", "description": "A thinking model's reasoning."},
        "finish_reason": {"type": "string", "description": "stop, length, tool_calls, ..."},
        "tool_calls": {"type": "array", "items": {"type": "object"}},
        "provider": {"type": "string", "description": "Who answered."},
        "model": {"type": "string", "description": "The model that answered."},
        "usage": {
            "type": "object",
            "properties": {
                "prompt_tokens": {"type": "integer"},
                "completion_tokens": {"type": "integer"},
            },
        },
        "error": _ERROR,
    },
    "anyOf": [{"required": ["content"]}, {"required": ["error"]}],
}

_MODEL_LIST: dict[str, Any] = {
    "type": "object",
    "properties": {
        "models": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"id": {"type": "string"}, "provider": {"type": "string"}},
                "required": ["id", "provider"],
            },
        },
        "error": _ERROR,
    },
    "anyOf": [{"required": ["models"]}, {"required": ["error"]}],
}


def tools_json(providers: Sequence[str]) -> bytes:
    """The `tools` array of `tools/list` for these providers, encoded, in a fixed order."""
    tools = [_chat(providers), *(_provider_chat(name) for name in providers), _models()]
    return msgspec.json.encode(tools)


def _chat(providers: Sequence[str]) -> dict[str, Any]:
    return {
        "name": CHAT,
        "title": "Chat",
        "description": "Ask a language model for the next message of a conversation. The "
        "gateway picks the provider from the model's name; `models` lists what can be called. "
        "With a progress token the answer also arrives piece by piece.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "model": {
                    "type": "string",
                    "maxLength": 256,
                    "description": "The model's name, as `models` lists it.",
                },
                "provider": {
                    "type": "string",
                    "description": "Ask for this provider. Left out, the routes decide.",
                    "examples": list(providers),
                },
                **_SETTINGS,
            },
            "required": ["model", "messages"],
        },
        "outputSchema": _ANSWER,
        "annotations": {"readOnlyHint": True, "openWorldHint": True},
    }


def _provider_chat(provider: str) -> dict[str, Any]:
    return {
        "name": f"{provider}{CHAT_SUFFIX}",
        "title": f"Chat with {provider}",
        "description": f"Like `{CHAT}`, asked of the provider {provider}.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "model": {
                    "type": "string",
                    "maxLength": 256,
                    "description": f"A model of {provider}, as `{MODELS}` lists it.",
                },
                **_SETTINGS,
            },
            "required": ["model", "messages"],
        },
        "outputSchema": _ANSWER,
        "annotations": {"readOnlyHint": True, "openWorldHint": True},
    }


def _models() -> dict[str, Any]:
    return {
        "name": MODELS,
        "title": "Models",
        "description": "List the models that can be called, each with its provider.",
        "inputSchema": {"type": "object", "properties": {}},
        "outputSchema": _MODEL_LIST,
        "annotations": {"readOnlyHint": True, "openWorldHint": True, "idempotentHint": True},
    }
