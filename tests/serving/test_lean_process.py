"""The web process: what it must not load, and how little memory it takes before a model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

_CODE = """
import asyncio, json, sys
from pathlib import Path
import orjson
from mersalg.serving.app import create_app
from mersalg.serving.settings import load_settings

async def ask(app):
    body = orjson.dumps({"checkout_id": "x", "lines": [{"item_id": "a", "quantity": 1}]})
    sent = []
    scope = {
        "type": "http", "method": "POST", "path": "/v1/suggestions", "raw_path": b"",
        "query_string": b"", "root_path": "", "scheme": "http", "http_version": "1.1",
        "headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }
    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}
    async def send(message):
        sent.append(message)
    await app(scope, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"])

async def main():
    app = create_app(load_settings({}, database="sqlite:///facts.db", database_deadline_ms=60_000))
    async with app.router.lifespan_context(app):
        status, answer = await ask(app)
    heavy = {"pandas", "sklearn", "scipy", "mlxtend", "matplotlib", "pyarrow", "mersalg.training"}
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(line for line in lines if line.startswith("VmHWM"))
    print(json.dumps({
        "status": status, "tracking": answer["tracking"],
        "loaded": sorted(heavy & set(sys.modules)), "peak_mib": int(peak.split()[1]) / 1024,
    }))

asyncio.run(main())
"""


def test_the_web_process_stays_light(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _CODE],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[2] / "build" / "view"), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    reported = json.loads(done.stdout)
    print(f"peak memory before a model: {reported['peak_mib']:.0f} MiB")
    assert reported["status"] == 200
    assert reported["tracking"] == "recorded"
    assert reported["loaded"] == []
    assert reported["peak_mib"] < 120
