"""Models as JSON Schema, in words that generators of clients turn into the right types. Pure."""

from collections.abc import Sequence
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema
from pydantic_core import core_schema

Schema = dict[str, Any]

REF: Final = "#/components/schemas/{model}"


def schemas_of(models: Sequence[tuple[type[BaseModel], JsonSchemaMode]]) -> dict[str, Schema]:
    """Return the schemas of these models, and of those inside them, by name."""
    _, found = models_json_schema(models, ref_template=REF, schema_generator=_ForGenerators)
    return dict(found.get("$defs", {}))


class _ForGenerators(GenerateJsonSchema):
    def int_schema(self, schema: core_schema.IntSchema) -> Schema:
        """Without a format Java and Go hold it in 32 bits, and fail at a time in ms."""
        return {**super().int_schema(schema), "format": "int64"}

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> Schema:
        """None by default: it may be left out. Generators take "null by default" for always there."""
        if schema.get("default", ...) is not None:
            return super().default_schema(schema)
        inner = schema["schema"]
        if self.mode == "validation" and inner["type"] == "nullable":
            inner = inner["schema"]
        return self.generate_inner(inner)

    def dict_schema(self, schema: core_schema.DictSchema) -> Schema:
        """A map's values are given as additionalProperties: as patternProperties they become anything."""
        found = super().dict_schema(schema)
        for pattern, values in found.pop("patternProperties", {}).items():
            found |= {"propertyNames": {"pattern": pattern}, "additionalProperties": values}
        return found

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - as pydantic calls it
        """A title is the name of a model; a field's would only repeat its name, as ``Storedupto``."""
        return False
