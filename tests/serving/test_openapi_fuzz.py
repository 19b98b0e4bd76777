"""The whole OpenAPI document against a real server, by Schemathesis with every check on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.models import tiny_model
from tests.support.repetitions import repetitions
from tests.support.servers import publish_model, running_server
from tests.support.waiting import WAIT_SECONDS

CONFIG = Path(__file__).parents[1] / "support" / "schemathesis.toml"
KEY = "a-key-of-every-scope"
SCOPES = ("storefront", "server", "report", "admin")


@pytest.mark.thorough
def test_the_service_does_what_its_document_says(tmp_path: Path) -> None:
    publish_model(tmp_path / "models", tiny_model(holdout=0.0))
    # How often strangers may call is tested elsewhere; here they are many.
    environment = {"MERSALG_REFUSAL_RATE": "0", "MERSALG_SHOPIFY_SECRET": "s"}
    keys = " ".join(f"{scope}:{KEY}" for scope in SCOPES)
    with running_server(tmp_path, keys=keys, key=KEY, environment=environment) as server:
        program = Path(sys.executable).parent / "schemathesis"
        command = [str(program), "--config-file", str(CONFIG), "run", f"{server.url}/openapi.json"]
        command += ["--header", f"Authorization: Bearer {KEY}", "--checks", "all"]
        command += ["--max-examples", str(repetitions(5, 30)), "--seed", "1"]
        command += ["--no-color", "--workers", "1"]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=10 * WAIT_SECONDS,
            cwd=tmp_path,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-20_000:]
        with server.client() as client:
            asked = client.get("/metrics").text
            document = client.get("/openapi.json").json()
            assert client.get("/readyz").status_code == 200
        log = server.said
    assert "Traceback" not in log
    operations = {
        line.split('route="')[1].split('"')[0]
        for line in asked.splitlines()
        if line.startswith("mersalg_requests_total{")
    }
    known = {path.split("{")[0] for path in document["paths"]}
    called = {path.split("{")[0] for path in operations}
    assert known - called == set(), "every path was called"
