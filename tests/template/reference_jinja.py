"""reference_jinja - chat templates rendered by Python's jinja2, set up as Hugging Face's transformers does it."""

import datetime, json
import jinja2, jinja2.ext, jinja2.nodes, jinja2.sandbox


class Raised(jinja2.exceptions.TemplateError):
    pass


class Generation(jinja2.ext.Extension):
    """{% generation %}: a call block whose body is rendered where it stands."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_render"), [], [], body).set_lineno(line)

    def _render(self, caller):
        return caller()


def environment(now):
    def raise_exception(message):
        raise Raised(message)

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(
            value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
        )

    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = (
        lambda form: datetime.datetime.fromtimestamp(now, datetime.timezone.utc).replace(tzinfo=None).strftime(form)
    )
    return env


def render(text, root, open_reply, bos, eos, now):
    """("ok", text), or ("syntax" | "raised" | "error", message)."""
    variables = {
        "tools": None,
        "documents": None,
        "add_generation_prompt": open_reply,
        "bos_token": bos,
        "eos_token": eos,
    } | root
    try:
        out = environment(now).from_string(text).render(**variables)
        out.encode()
        return "ok", out
    except (jinja2.exceptions.TemplateSyntaxError, SyntaxError) as error:
        return "syntax", f"{error}"
    except Raised as error:
        return "raised", f"{error.message}"
    except RecursionError as error:
        return "limit", f"{error}"
    except Exception as error:
        return "error", f"{type(error).__name__}: {error}"
