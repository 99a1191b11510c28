"""ordered.py: values of other people's schemas in the order of keys that ours have, for the scripts that compare them."""


def ordered(value, schema, root, depth=0):
    """The value with its keys in the order in which a schema has them."""
    if depth > 40 or not isinstance(schema, dict):
        return value
    ref = schema.get("$ref")
    if isinstance(ref, str) and ref.startswith("#"):
        target = root
        for step in ref[1:].split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            target = target.get(step, {}) if isinstance(target, dict) else {}
        value = ordered(value, target, root, depth + 1)
    for word in ("allOf", "anyOf", "oneOf"):
        for part in schema.get(word) or ():
            value = ordered(value, part, root, depth + 1)
    if isinstance(value, dict):
        properties = schema.get("properties") if isinstance(schema.get("properties"), dict) else {}
        more = schema.get("additionalProperties")
        names = [*properties, *(name for name in schema.get("required") or () if isinstance(name, str) and name not in properties)]
        keys = [key for key in names if key in value] + [key for key in value if key not in names]
        return {key: ordered(value[key], properties.get(key, more), root, depth + 1) for key in keys}
    if isinstance(value, list):
        items = schema.get("items")
        return [ordered(item, items, root, depth + 1) for item in value]
    return value
