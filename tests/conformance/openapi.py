"""Judging an exchange by an OpenAPI 3.0 document: parameters, bodies and statuses, in both directions."""

import json
import re
import uuid
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jsonschema import Draft4Validator, FormatChecker
from referencing import Registry
from referencing.jsonschema import DRAFT4

from agentdb_mcp.fake_neon.wire import Reply, Request

DOCUMENT = "urn:neon"
FORMATS = FormatChecker(())


@FORMATS.checks("date-time", raises=ValueError)
def is_moment(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@FORMATS.checks("uuid", raises=ValueError)
def is_uuid(value: object) -> bool:
    return not isinstance(value, str) or bool(uuid.UUID(value))


@dataclass(frozen=True, slots=True)
class Operation:
    """A path and method of the document, with the pointer to it."""

    pointer: str
    content: dict[str, Any]
    shared: list[dict[str, Any]]


class OpenApi:
    """Neon's document, read from JSON."""

    def __init__(self, path: Path, prefix: str) -> None:
        self.document: dict[str, Any] = json.loads(path.read_text())
        self._prefix = prefix
        self._registry = Registry().with_resource(DOCUMENT, DRAFT4.create_resource(self.document))
        self._patterns = [
            (re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template))), template)
            for template in sorted(self.document["paths"], key=lambda each: each.count("{"))
        ]

    def problems(self, request: Request, reply: Reply) -> list[str]:
        """Empty when the document allows what was said on both sides. What was refused may be wrong."""
        operation = self._operation(request)
        if operation is None:
            return [] if reply.status in {404, 405} else ["answered, and there is no such operation"]
        found = self._reply(operation, reply)
        if reply.status < 400:
            found += self._query(operation, request) + self._body(operation, request)
        return found

    def _operation(self, request: Request) -> Operation | None:
        path = request.path.removeprefix(self._prefix)
        for pattern, template in self._patterns:
            item = self.document["paths"][template]
            if pattern.fullmatch(path) and request.method.lower() in item:
                pointer = f"/paths/{template.replace('/', '~1')}/{request.method.lower()}"
                return Operation(pointer, item[request.method.lower()], item.get("parameters", []))
        return None

    def _reply(self, operation: Operation, reply: Reply) -> list[str]:
        responses = operation.content["responses"]
        key = str(reply.status) if str(reply.status) in responses else "default"
        if reply.status < 400 and key == "default":
            return [f"status {reply.status} is not declared"]
        response = self._resolved(responses[key])
        if not reply.body and "content" not in response:
            return []
        schema = response["content"]["application/json"]["schema"]
        return [f"answer: {each}" for each in self._errors(schema, json.loads(reply.body))]

    def _query(self, operation: Operation, request: Request) -> list[str]:
        known = [
            self._resolved(each) for each in [*operation.shared, *operation.content.get("parameters", [])]
        ]
        declared = {each["name"]: each for each in known if each["in"] == "query"}
        found = [f"query: {name} is not declared" for name in request.query if name not in declared]
        for name, parameter in declared.items():
            if name in request.query:
                schema = self._resolved(parameter["schema"])
                value = _typed(schema, request.query[name])
                found += [f"query: {name}: {each}" for each in self._errors(schema, value)]
            elif parameter.get("required"):
                found.append(f"query: {name} is required")
        return found

    def _body(self, operation: Operation, request: Request) -> list[str]:
        if "requestBody" not in operation.content:
            return ["a body, and none is declared"] if request.body else []
        declared = self._resolved(operation.content["requestBody"])
        if not request.body:
            return ["no body, and one is required"] if declared.get("required") else []
        schema = declared["content"]["application/json"]["schema"]
        return [f"body: {each}" for each in self._errors(schema, json.loads(request.body))]

    def _errors(self, schema: dict[str, Any], value: object) -> list[str]:
        validator = Draft4Validator(_absolute(schema), registry=self._registry, format_checker=FORMATS)
        return [f"{each.json_path}: {each.message[:200]}" for each in validator.iter_errors(value)]

    def _resolved(self, item: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in item:
            target: Any = self.document
            for part in item["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            item = target
        return item


def _absolute(schema: Any) -> Any:
    """References made absolute, since the schema is looked at by itself."""
    if isinstance(schema, dict):
        return {key: DOCUMENT + value if key == "$ref" else _absolute(value) for key, value in schema.items()}
    return [_absolute(each) for each in schema] if isinstance(schema, list) else schema


def _typed(schema: dict[str, Any], values: list[str]) -> object:
    """A query parameter's texts as what the schema calls them."""
    match schema.get("type"):
        case "array":
            return values
        case "integer":
            return int(values[-1])
        case "boolean":
            return {"true": True, "false": False}[values[-1]]
        case _:
            return values[-1]
