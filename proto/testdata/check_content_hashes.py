"""Checks content_hashes.json against an implementation of its own of the content hash, which PromptVersion.checksum_hash
describes. `--write` puts the computed canonical forms and hashes into the file, for new vectors."""

import hashlib
import json
import pathlib
import sys

FILE = pathlib.Path(__file__).with_name("content_hashes.json")

# The fields of each message: kind, and whether absent and default are two things.
PRESENT, PLAIN = True, False
MESSAGES = {
    "Content": {
        "template_source": ("string", PRESENT),
        "chat_template": ("ChatTemplate", PRESENT),
        "config": ("VersionConfig", "nonempty"),
    },
    "ChatTemplate": {"entries": (["ChatTemplateEntry"], PLAIN)},
    "ChatTemplateEntry": {"message": ("ChatMessage", PRESENT), "placeholder": ("string", PRESENT)},
    "ChatMessage": {
        "role": ("string", PLAIN),
        "content": ("string", PLAIN),
        "parts": (["ContentPart"], PLAIN),
        "name": ("string", PLAIN),
        "tool_calls": (["ToolCall"], PLAIN),
        "tool_call_id": ("string", PLAIN),
    },
    "ContentPart": {"text": ("string", PRESENT), "image": ("ImagePart", PRESENT)},
    "ImagePart": {
        "url": ("string", PRESENT),
        "data": ("string", PRESENT),
        "media_type": ("string", PLAIN),
        "detail": ("string", PLAIN),
    },
    "ToolCall": {"id": ("string", PLAIN), "name": ("string", PLAIN), "arguments": ("string", PLAIN)},
    "VersionConfig": {
        "model": ("ModelRef", PRESENT),
        "params": ("ModelParams", "nonempty"),
        "tools": (["Tool"], PLAIN),
        "tool_choice": ("ToolChoice", "nonempty"),
        "response_format": ("ResponseFormat", PRESENT),
        "custom": ("json", "nonempty"),
    },
    "ModelRef": {"provider": ("string", PLAIN), "model_name": ("string", PLAIN)},
    "ModelParams": {
        "temperature": ("number", PRESENT),
        "top_k": ("number", PRESENT),
        "top_p": ("number", PRESENT),
        "repetition_penalty": ("number", PRESENT),
        "max_new_tokens": ("number", PRESENT),
        "stop": ("StopSequences", PRESENT),
        "seed": ("int64", PRESENT),
        "frequency_penalty": ("number", PRESENT),
        "presence_penalty": ("number", PRESENT),
        "reasoning_effort": ("string", PRESENT),
        "extra": ("json", "nonempty"),
    },
    "StopSequences": {"values": (["string"], PLAIN)},
    "Tool": {
        "name": ("string", PLAIN),
        "description": ("string", PLAIN),
        "parameters_json": ("string", PLAIN),
        "strict": ("bool", PLAIN),
    },
    "ToolChoice": {"mode": ("string", PRESENT), "name": ("string", PRESENT), "parallel": ("bool", PRESENT)},
    "ResponseFormat": {"json_object": ("JsonObject", PRESENT), "json_schema": ("JsonSchema", PRESENT)},
    "JsonObject": {},
    "JsonSchema": {"name": ("string", PLAIN), "schema_json": ("string", PLAIN), "strict": ("bool", PLAIN)},
}


def normal(kind, value):
    """A value as the canonical form has it: without what counts as absent."""
    if isinstance(kind, list):
        return [normal(kind[0], item) for item in value]
    if kind == "int64":
        return str(int(value))
    if kind not in MESSAGES:
        return value
    fields = {}
    for name, field in value.items():
        of, presence = MESSAGES[kind][name]
        field = normal(of, field)
        if presence is PRESENT or field not in ("", False, [], {}):
            fields[name] = field
    return fields


def number(value):
    """A number as ECMAScript writes it, which RFC 8785 demands."""
    value = float(value)
    if value == 0:
        return "0"
    if value < 0:
        return "-" + number(-value)
    mantissa, _, exponent = repr(value).partition("e")
    exponent = int(exponent or 0)
    whole, _, fraction = mantissa.partition(".")
    digits = whole + fraction
    point = len(whole) + exponent
    stripped = digits.lstrip("0")
    point -= len(digits) - len(stripped)
    digits = stripped.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        return digits + "0" * (point - count)
    if 0 < point <= 21:
        return digits[:point] + "." + digits[point:]
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    sign = "+" if point > 0 else "-"
    rest = "." + digits[1:] if count > 1 else ""
    return f"{digits[0]}{rest}e{sign}{abs(point - 1)}"


def canonical(value):
    """RFC 8785."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, (int, float)):
        return number(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    names = sorted(value, key=lambda name: name.encode("utf-16-be"))
    return "{" + ",".join(f"{canonical(name)}:{canonical(value[name])}" for name in names) + "}"


def computed(content):
    """The canonical form, absent for a text without a config, and the hash."""
    fields = normal("Content", content)
    if list(fields) == ["template_source"]:
        return None, hashlib.sha256(fields["template_source"].encode()).hexdigest()
    text = canonical(fields)
    return text, hashlib.sha256(b"\0" + text.encode()).hexdigest()


def main():
    vectors = json.loads(FILE.read_text())
    wrong = []
    for vector in vectors:
        text, checksum = computed(vector["content"])
        if "--write" in sys.argv:
            vector["canonical"], vector["checksum_hash"] = text, checksum
        elif (vector["canonical"], vector["checksum_hash"]) != (text, checksum):
            wrong.append(vector["name"])
    if "--write" in sys.argv:
        FILE.write_text(json.dumps(vectors, ensure_ascii=False, indent=2) + "\n")
    print(f"{len(vectors)} vectors, {len(wrong)} wrong: {wrong}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
