"""Models as JSON Schema, such that client generators produce the right types. Pure."""

from collections.abc import Sequence
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema
from pydantic_core import core_schema

Schema = dict[str, Any]

REF: Final = "#/components/schemas/{model}"


def schemas_of(models: Sequence[tuple[type[BaseModel], JsonSchemaMode]]) -> dict[str, Schema]:
    """Return the schemas of these models, and of those inside them, by name."""
    _, schemas = models_json_schema(models, ref_template=REF, schema_generator=_ForGenerators)
    return dict(schemas.get("$defs", {}))


class _ForGenerators(GenerateJsonSchema):
    def int_schema(self, schema: core_schema.IntSchema) -> Schema:
        """Add the format int64: without it Java and Go use 32 bits, too few for a time in ms."""
        return {**super().int_schema(schema), "format": "int64"}

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> Schema:
        """Omit a default of None: the field may be left out. Generators take a null default as required."""
        if schema.get("default", ...) is not None:
            return super().default_schema(schema)
        inner = schema["schema"]
        if self.mode == "validation" and inner["type"] == "nullable":
            inner = inner["schema"]
        return self.generate_inner(inner)

    def dict_schema(self, schema: core_schema.DictSchema) -> Schema:
        """Give a map's values as additionalProperties: generators take patternProperties as any type."""
        found = super().dict_schema(schema)
        for pattern, values in found.pop("patternProperties", {}).items():
            found |= {"propertyNames": {"pattern": pattern}, "additionalProperties": values}
        return found

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - as pydantic calls it
        """Return False: a field's title would only repeat its name, as ``Storedupto``."""
        return False
