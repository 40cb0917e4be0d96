"""The OpenAPI 3.1 document: the framework's, with our strict bodies, problems and headers put in."""

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import RouteContext, iter_route_contexts
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from mereau.core.http import JsonBody
from mereau.core.schemas import Problem

_REF: Final = "#/components/schemas/{model}"
_VERBS: Final = frozenset({"get", "post", "put", "patch", "delete"})
_REQUEST_ID: Final = {
    "description": "Names the request in the logs; yours, where you sent a plain one.",
    "schema": {"type": "string"},
}
_DESCRIPTION: Final = """\
Loyalty tokens that members can prove. Money is in integer minor units with its currency, tokens are integers,
figures of the chain are decimal strings, times are RFC 3339 in UTC.

Bodies are read strictly: unknown or repeated fields, `1.0` for `1`, NaN, NUL and lone surrogates are refused.
Refusals are problem documents (RFC 9457) with a stable `code` and JSON pointers. Writes that move tokens need an
`Idempotency-Key`: its repetition answers what was answered, with `Idempotent-Replayed: true`.
"""


def build_openapi(app: FastAPI) -> dict[str, Any]:
    """The document of all routes that are in the schema; built once per application."""
    document = get_openapi(title="Mereau", version=app.version, description=_DESCRIPTION, routes=app.routes)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    bodies = {(path, verb): body for path, verb, body in _bodies(app)}
    models: list[type[BaseModel]] = [Problem, *{body.model for body in bodies.values()}]
    _, definitions = models_json_schema([(model, "validation") for model in models], ref_template=_REF)
    schemas.update(definitions["$defs"])
    for path, operations in document["paths"].items():
        for verb, operation in operations.items():
            if verb in _VERBS:
                _complete(operation, bodies.get((path, verb)))
    return document


def _bodies(app: FastAPI) -> Iterator[tuple[str, str, JsonBody[Any]]]:
    for context in iter_route_contexts(app.routes):
        for reader in _readers(context):
            for method in context.methods or ():
                yield context.path_format or "", method.lower(), reader


def _readers(context: RouteContext) -> Iterator[JsonBody[Any]]:
    dependant = getattr(context, "dependant", None)
    for dependency in [] if dependant is None else dependant.dependencies:
        if isinstance(dependency.call, JsonBody):
            yield dependency.call


def _complete(operation: dict[str, Any], body: JsonBody[Any] | None) -> None:
    if body is not None:
        schema = {"$ref": _REF.format(model=body.model.__name__)}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    for parameter in operation.get("parameters", []):
        if parameter["name"].lower() == "idempotency-key":
            parameter["name"] = "Idempotency-Key"
            parameter["required"] = True
            parameter["schema"] = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"}
    responses = operation["responses"]
    # The framework adds its own 422 wherever there is a parameter; ours are all problems.
    validation = responses.get("422", {}).get("content", {})
    if "application/json" in validation:
        responses["422"] = {
            "description": "The request is not valid.",
            "content": {"application/problem+json": {"schema": {"$ref": _REF.format(model="Problem")}}},
        }
    for response in responses.values():
        response.setdefault("headers", {})["X-Request-Id"] = _REQUEST_ID
