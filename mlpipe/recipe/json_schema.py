"""The JSON Schema of recipes and workspaces as they are written, shorthands included, for editors and other tools."""

from __future__ import annotations

from typing import Any

from mlpipe.errors import RecipeError
from mlpipe.recipe.metrics_table import METRICS, SOURCE_PREFIX
from mlpipe.recipe.mistakes import one_of
from mlpipe.recipe.schema.pipeline import Pipeline
from mlpipe.recipe.schema.quantize import QuantizeStep
from mlpipe.recipe.schema.recipe import Recipe
from mlpipe.recipe.variants import LIST_PARAMETERS

Schema = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_MODELS = {"recipe": Recipe, "pipeline": Pipeline}
_VARIABLE = {"$ref": "#/$defs/Variable"}
_VARIABLE_DEFINITION = {"type": "string", "pattern": r"^\$\{[^{}]*\}$", "description": "A variable: ${name} or ${env.NAME:-default}."}
_OPERATOR = r"^\s*(>=|>|<=|<|==)\s*[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?\s*(%|[A-Za-z]+)?\s*$"


def json_schema(kind: str = "recipe") -> Schema:
    """Return the schema (draft 2020-12) of `recipe` or `pipeline`. Errors: RecipeError for another kind."""
    if kind not in _MODELS:
        raise RecipeError(f"there is no schema '{kind}'", fix=f"choose {one_of(_MODELS)}")
    definitions = _definitions()
    top: Schema = definitions[_MODELS[kind].__name__]
    if kind == "pipeline":
        recipe: Schema = definitions["Recipe"]
        kept = {name: entry for name, entry in recipe["properties"].items() if name not in ("mlpipe", "name")}
        partial = {"type": "object", "additionalProperties": False, "properties": _without_required(kept)}
        top["properties"]["defaults"] = {**partial, "description": Pipeline.model_fields["defaults"].description}
        definitions = _without_required(definitions)  # what a default leaves out a recipe adds
    used = {name: entry for name, entry in definitions.items() if name not in ("Recipe", "Pipeline")}
    return {"$schema": _DIALECT, "title": f"mlpipe {kind}", **top, "$defs": used}


def _definitions() -> Schema:
    """Return every section's schema by name, and those of the parts that are expanded rather than validated by pydantic."""
    definitions: Schema = {}
    for model in (Recipe, Pipeline, QuantizeStep):
        schema = model.model_json_schema(mode="validation")
        definitions.update(schema.pop("$defs", {}))
        definitions[model.__name__] = schema
    recipe = definitions["Recipe"]
    recipe["required"] = ["source"]  # the name follows from the file
    definitions["Release"]["required"] = ["variant"]
    _set(recipe, "quantize", {"type": "object", "additionalProperties": {"$ref": "#/$defs/Variant"}})
    _set(recipe, "gate", {"type": "object", "additionalProperties": {"$ref": "#/$defs/Gate"}})
    for name, schema in definitions.items():
        if name not in ("Recipe", "Pipeline"):
            schema["properties"] = {key: _or_variable(entry) for key, entry in schema.get("properties", {}).items()}
    for key, entry in recipe["properties"].items():
        if key != "source":
            recipe["properties"][key] = _or_nothing(_or_variable(entry) if key not in ("vars", "env", "mlpipe") else entry)
    definitions.update(_variant_definitions(definitions.pop("QuantizeStep")))
    definitions.update(Gate=_gate_definition(), Variable=_VARIABLE_DEFINITION)
    return definitions


def _set(schema: Schema, key: str, entry: Schema) -> None:
    schema["properties"][key] = {**entry, "description": schema["properties"][key]["description"]}


def _or_variable(entry: Schema) -> Schema:
    """Return a schema that takes a variable too, as do its items and values; text takes one anyway, where no pattern restricts it."""
    entry = dict(entry)
    for inner in ("items", "additionalProperties"):
        if isinstance(entry.get(inner), dict):
            entry[inner] = _or_variable(entry[inner])
    if "anyOf" in entry:
        members = [_or_variable(member) if "anyOf" not in member else member for member in entry["anyOf"]]
        flat = [option for member in members for option in (member["anyOf"] if set(member) == {"anyOf"} else [member])]
        return {**entry, "anyOf": [option for option in flat if option != _VARIABLE] + [_VARIABLE]}
    if entry.get("type") == "string" and not {"pattern", "enum", "const"} & entry.keys():
        return entry
    notes: Schema = {key: entry[key] for key in ("description", "default", "title") if key in entry}
    return {"anyOf": [{key: value for key, value in entry.items() if key not in notes}, _VARIABLE], **notes}


def _or_nothing(entry: Schema) -> Schema:
    """Return a schema that takes an empty section too, which stands for the default."""
    notes: Schema = {key: entry[key] for key in ("description", "default", "title") if key in entry}
    return {"anyOf": [{key: value for key, value in entry.items() if key not in notes}, {"type": "null"}], **notes}


def _variant_definitions(step: Schema) -> Schema:
    """Return the schemas of a variant, of which every single value may be a list."""
    step.pop("required", None)
    properties = step["properties"]
    properties["weights"] = {"const": "float16", "description": "Short for {method: float16}."}
    for key, entry in properties.items():
        if key not in LIST_PARAMETERS:
            single = {name: value for name, value in entry.items() if name not in ("description", "default", "title")}
            notes: Schema = {name: entry[name] for name in ("description", "default") if name in entry}
            properties[key] = {"anyOf": [single, {"type": "array", "minItems": 1, "items": single}, _VARIABLE], **notes}
    matrix = {
        "type": "object",
        "description": "Axes, each a list of values, with `include` and `exclude` as GitHub Actions has them.",
        "minProperties": 1,
        "properties": {key: {"type": "array", "minItems": 1, "items": {"type": "object"}} for key in ("include", "exclude")},
        "additionalProperties": {"anyOf": [{"type": "array", "minItems": 1}, _VARIABLE]},
    }
    name = {"type": "string", "description": "A template with ${...} of the matrix's axes and of the lists."}
    chain = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/Step"}, "description": "A chain: each step takes the model of the one before."}
    with_matrix = {**properties, "matrix": matrix, "name": name}
    return {
        "Step": step,
        "Variant": {
            "anyOf": [
                {"type": "object", "additionalProperties": False, "minProperties": 1, "properties": with_matrix},
                {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["steps"],
                    "properties": {"steps": chain, "matrix": matrix, "name": name},
                },
                chain,
                _VARIABLE,
            ]
        },
    }


def _gate_definition() -> Schema:
    bound = {
        "anyOf": [{"type": "string", "pattern": _OPERATOR}, {"type": "null"}, _VARIABLE],
        "description": "E.g. '>= 98%'; null takes an inherited bound away.",
    }
    metrics = [*METRICS, *(SOURCE_PREFIX + name for name, metric in METRICS.items() if metric.against == "reference")]
    settings = {
        "report_only": {"anyOf": [{"type": "boolean"}, _VARIABLE], "description": "Show the verdict, never fail."},
        "confidence": {"type": ["number", "string"], "description": "E.g. 95%: the interval's lower end must pass."},
    }
    return {"type": "object", "additionalProperties": False, "properties": {**dict.fromkeys(metrics, bound), **settings}}


def _without_required(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _without_required(value) for key, value in schema.items() if not (key == "required" and isinstance(value, list))}
    return [_without_required(item) for item in schema] if isinstance(schema, list) else schema
