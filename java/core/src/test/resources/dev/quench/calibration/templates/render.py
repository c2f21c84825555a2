#!/usr/bin/env python3
"""Writes expected.json: what Jinja2, set up as transformers sets it up for chat templates, renders for each template and conversation.

usage: render.py   (needs jinja2; run it after changing a template or conversations.json)
"""
import datetime, json, pathlib
from jinja2 import exceptions, ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

here = pathlib.Path(__file__).parent


def raise_exception(message):
    raise exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[ext.loopcontrols])
environment.filters["tojson"] = tojson
environment.globals["raise_exception"] = raise_exception
environment.globals["strftime_now"] = lambda pattern: datetime.datetime.now().strftime(pattern)

conversations = json.loads((here / "conversations.json").read_text())
expected = {}
for path in sorted(here.glob("*.jinja")):
    results = expected[path.stem] = {}
    template = environment.from_string(path.read_text())
    for name, messages in conversations.items():
        try:
            results[name] = {"text": template.render(
                messages=messages, tools=None, documents=None, add_generation_prompt=False, bos_token="<s>", eos_token="</s>")}
        except Exception as e:
            results[name] = {"error": f"{type(e).__name__}: {e}"}
(here / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n")
