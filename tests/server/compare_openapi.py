"""compare_openapi.py CHORD [OPTIONS]: schemathesis (`pip install schemathesis==4.32.5`) asks a running server
what docs/openapi.yaml says it may be asked, and what it may not: no answer is a 5xx (but 501 and 503, where they are meant), each has one of the shapes that the file has for it. OPTIONS go to schemathesis (--seed, --max-examples, --include-path, ...).
Not held against the server: that it takes what the file does not have (unknown words, JSON under any content type), and that it refuses what a schema cannot forbid (a prompt that is too long)."""
from server_test import *

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance"
WORDS = """[checks]
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", "501", "503"]
"""  # 501: gaps cannot be filled; 503: not yet, or too many
words = pathlib.Path(folder.name) / "schemathesis.toml"
words.write_text(WORDS)
options = sys.argv[2:] or ["--max-examples", "40", "--seed", "1"]
with Server("--memory", "160M", "-n", "8", "--parallel", "4") as s:
    command = [pathlib.Path(sys.executable).parent / "schemathesis", "--config-file", words, "run", TESTS.parent / "docs" / "openapi.yaml", "--url", s.place, "--checks", CHECKS,
               "--phases", "examples,coverage,fuzzing", "--generation-database", "none", "--continue-on-failure", *options]
    finished = subprocess.run([*map(str, command)], cwd=folder.name)  # it leaves a folder of its own
    check(finished.returncode == 0, "what the server says is what the file says")
    check(s.get("/health")[0] == 200, "and it goes on")
done()
