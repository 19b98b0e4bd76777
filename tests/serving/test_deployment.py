"""The files of `serving/deployment` are read, and run as far as that goes without their engines."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import tomllib
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from pydantic_core import PydanticUndefined

from mersalg.engine.errors import ConfigError
from mersalg.serving.settings import FILES, PREFIX, ServeSettings, load_settings
from tests.support import image_hashes
from tests.support.commands import run
from tests.support.postgres import free_port
from tests.support.processes import children_of
from tests.support.servers import DEADLINE_MS, publish_model
from tests.support.system import missing
from tests.support.waiting import WAIT_SECONDS, eventually

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "serving" / "deployment"
SETTINGS = (ROOT / "docs" / "reference" / "environment.md").read_text()
UNITS = ("mersalg.service", "mersalg-train.service", "mersalg-train.timer")

# A registry's host would stand before the first slash and hold a dot, a colon or be localhost.
IMAGE = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*:[0-9][a-z0-9.-]*@sha256:[0-9a-f]{64}")


# --- settings -------------------------------------------------------------------------------------


def _documented() -> dict[str, str]:
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", SETTINGS, re.MULTILINE)
    assert len(dict(rows)) == len(rows)
    return dict(rows)


def _default(text: str) -> str | None:
    found = re.match(r"`([^`]*)` \| ", text)
    return found[1] if found else None


def test_every_setting_is_documented_with_its_default() -> None:
    documented = _documented()
    internal = {"keys", "session_secret", "shopify_secret", "checkout_secret", "share_secret"}
    internal |= {"parent", "stopping"}
    for name, field in ServeSettings.model_fields.items():
        if name in internal:
            continue
        given = _default(documented[f"MERSALG_{name.upper()}"])
        defaults = load_settings({})
        if given is None:
            assert field.default in (None, (), False, PydanticUndefined), name
        else:
            reported = load_settings({f"MERSALG_{name.upper()}": given})
            assert getattr(reported, name) == getattr(defaults, name), name


def test_every_variable_that_is_read_is_documented_and_the_other_way_round() -> None:
    sources = [
        path.read_text() for room in ("engine", "training", "serving")
        for path in (ROOT / room).rglob("*.py")
    ]  # fmt: skip
    read = {name for text in sources for name in re.findall(r"\bMERSALG_[A-Z]+(?:_[A-Z]+)*", text)}
    read |= {f"MERSALG_{name.upper()}" for name in ServeSettings.model_fields}
    read -= {"MERSALG_SESSION_SECRET", "MERSALG_PARENT", "MERSALG_STOPPING"}
    read |= {f"{PREFIX}{name}" for name in FILES}
    ours = {name for name in _documented() if name.startswith("MERSALG_")}
    assert ours == read


def _known(names: set[str]) -> bool:
    return names <= {*_documented(), "PATH", "PYTHONDONTWRITEBYTECODE"}


def test_the_url_of_the_database_stands_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("sqlite:///from-file.db\n")
    named = {"MERSALG_DATABASE_FILE": str(file)}
    assert load_settings(named).database == "sqlite:///from-file.db"
    assert load_settings(named | {"MERSALG_DATABASE": "sqlite:///said.db"}).database.endswith(
        "d.db"
    )
    for content in (None, ""):
        file.unlink() if content is None else file.write_text(content)
        with pytest.raises(ConfigError, match="MERSALG_DATABASE_FILE"):
            load_settings(named)


# --- systemd --------------------------------------------------------------------------------------


def _unit(name: str) -> configparser.ConfigParser:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(FOLDER / name)
    return unit


def _environment(name: str) -> dict[str, str]:
    lines = re.findall(r"^Environment=(\w+)=(.*)$", (FOLDER / name).read_text(), re.MULTILINE)
    return dict(lines)


@pytest.fixture
def analyze(tmp_path: Path) -> Any:
    """`systemd-analyze` on copies that name a program of this machine."""
    program = shutil.which("systemd-analyze") or missing("systemd-analyze")
    for name in UNITS:
        text = (FOLDER / name).read_text()
        (tmp_path / name).write_text(text.replace("/opt/mersalg/bin/mersalg", "/bin/true"))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )

    return run


def test_systemd_understands_the_units(analyze: Any) -> None:
    done = analyze("verify", *(f"./{name}" for name in UNITS))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    calendar = _unit("mersalg-train.timer")["Timer"]["OnCalendar"]
    assert analyze("calendar", calendar).returncode == 0


@pytest.mark.parametrize("name", UNITS[:2])
def test_the_units_give_little_away(analyze: Any, name: str) -> None:
    """Exposure by systemd's own reckoning: 0 is none, 10 all; most distributed units have 9."""
    done = analyze("security", "--offline=true", "--threshold=20", f"./{name}")
    said = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
    if said is None:
        missing("a systemd that judges files")
    print(f"{name}: exposure {said[1]}")
    assert done.returncode == 0


def test_the_units_run_commands_that_exist_and_wait_long_enough() -> None:
    for name in UNITS[:2]:
        arguments = shlex.split(_unit(name)["Service"]["ExecStart"])
        assert arguments[0] == "/opt/mersalg/bin/mersalg"
        _assert_options_exist(arguments[1:])
        assert _known(set(_environment(name)))
        if "SystemCallFilter" in _unit(name)["Service"]:
            # NumPy asks for `mbind` as it is loaded; refused it goes on, killed it does not.
            assert _unit(name)["Service"]["SystemCallErrorNumber"] == "EPERM"
    secrets = {_environment(name)["MERSALG_SECRET_FILE"] for name in UNITS[:2]}
    assert secrets == {"%d/secret"}, "a model knows its customers by the service's secret alone"
    service = _unit("mersalg.service")["Service"]
    drain = float(_environment("mersalg.service")["MERSALG_DRAIN_SECONDS"])
    assert (
        int(service["TimeoutStopSec"]) >= drain + 30
    )  # as `mersalg.serving.cli.serve` waits for workers
    assert service["KillMode"] == "mixed"  # else the workers were told at once, and none drained


def _assert_options_exist(arguments: list[str]) -> None:
    said = run(arguments[0], "--help")
    for option in (each for each in arguments if each.startswith("--")):
        assert option in said


# --- compose --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((FOLDER / "compose.yaml").read_text())


def test_the_compose_file_holds_together(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) == {"database", "mersalg", "train"}
    for service in services.values():
        assert set(service["secrets"]) <= set(compose["secrets"])
        mounted = {each.partition(":")[0] for each in service["volumes"]}
        assert {each for each in mounted if each.isidentifier()} <= set(compose["volumes"])
        assert set(service.get("depends_on", {})) <= set(services)
        for name, value in service["environment"].items():
            if name == "MERSALG_KEYS_FILE":
                # A folder: a file that is put in the place of a mounted one is not seen.
                assert f"/keys:{Path(value).parent}:ro" in " ".join(service["volumes"])
            elif name.endswith("_FILE"):
                assert value.removeprefix("/run/secrets/") in service["secrets"]
            else:
                assert not re.search("PASSWORD|SECRET|KEY", name)
    # Nothing secret lies where the image is made from, whatever the folder is called.
    files = [each["file"] for each in compose["secrets"].values()]
    files += [each for each in services["train"]["volumes"] if each.startswith("$")]
    assert all(re.match(r"\$\{\w+:-/etc/mersalg", each) for each in files)
    for service in (services["mersalg"], services["train"]):
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert _known(set(service["environment"]))
        assert (FOLDER / service["build"]["context"]).resolve() == ROOT
        assert (ROOT / service["build"]["dockerfile"]).is_file()
        _assert_options_exist(service["command"])
    assert services["mersalg"]["depends_on"]["database"]["condition"] == "service_healthy"
    for service in services.values():
        assert re.fullmatch(r"\$\{\w*MEMORY:-[0-9]+g\}", service["mem_limit"])
    assert services["database"]["healthcheck"]["test"][1] == "pg_isready"
    assert IMAGE.fullmatch(services["database"]["image"])
    assert all(each.startswith("127.0.0.1:") for each in services["mersalg"]["ports"])
    assert services["mersalg"]["stop_grace_period"] == "60s"


def test_compose_itself_understands_the_file() -> None:
    program = shutil.which("docker")
    if (
        program is None
        or subprocess.run(
            [program, "compose", "version"], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("docker compose is not installed on this machine")
    done = subprocess.run(
        [program, "compose", "--file", str(FOLDER / "compose.yaml"), "config", "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


# --- the container file ---------------------------------------------------------------------------


def _instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", (FOLDER / "Containerfile").read_text(), flags=re.MULTILINE)
    joined = text.replace("\\\n", " ")
    pairs = [line.partition(" ") for line in joined.splitlines() if line.strip()]
    return [(word, rest.strip()) for word, _, rest in pairs]


def _image_environment() -> dict[str, str]:
    return dict(
        each.partition("=")[::2]
        for word, rest in _instructions()
        if word == "ENV"
        for each in shlex.split(rest)
    )


def _values(word: str) -> list[str]:
    return [rest for each, rest in _instructions() if each == word]


def test_the_container_file_is_sound() -> None:
    words = [word for word, _ in _instructions()]
    assert set(words) <= {
        *("FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL"),
        *("HEALTHCHECK", "ENTRYPOINT", "CMD"),
    }
    first, last = (each.split() for each in _values("FROM"))
    assert first[1:] == ["AS", "build"]
    assert first[0] == last[0]
    assert IMAGE.fullmatch(last[0])
    (user,) = _values("USER")
    assert int(user.partition(":")[0]) >= 1000
    after = words[len(words) - words[::-1].index("FROM") :]
    assert after.index("USER") > max(place for place, word in enumerate(after) if word == "RUN")
    for command in _values("RUN"):
        assert subprocess.run(["sh", "-n", "-c", command], check=False).returncode == 0
        if "apt-get install" in command:
            assert "--no-install-recommends" in command
            assert "rm -rf /var/lib/apt/lists/*" in command
    for sources in _values("COPY"):
        if not sources.startswith("--from="):
            assert all((ROOT / name).exists() for name in sources.split()[:-1])
    assert _known(set(_image_environment()))
    assert json.loads(_values("ENTRYPOINT")[0]) == ["mersalg"]
    assert json.loads(_values("CMD")[0]) == ["serve"]


def test_the_image_installs_by_hash_what_constraints_pin() -> None:
    """All that the project needs is named, in the pinned version, with hashes and nothing else."""
    constraints = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines()
    )
    pinned = {image_hashes.normalized(name): version for name, version in constraints.items()}
    commands = " ".join(_values("RUN"))
    for name, wanted in image_hashes.requirements().items():
        pins = image_hashes.pins(name)
        assert f"--require-hashes --only-binary=:all: --requirement {name}" in commands
        for pin, hashes in pins.items():
            package, version = pin.split("==")
            assert pinned[image_hashes.normalized(package)] == version, pin
            assert hashes, pin
            assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", each) for each in hashes)
        named = {image_hashes.normalized(pin.split("==")[0]) for pin in pins}
        missing_here = _needed(wanted) - named
        assert missing_here == set(), f"run python -m tests.support.image_hashes: {missing_here}"


def _needed(wanted: list[str]) -> set[str]:
    """The packages that these requirements bring, by what is installed here; unknown ones alone."""
    needed: set[str] = set()
    waiting = [Requirement(each) for each in wanted]
    while waiting:
        requirement = waiting.pop()
        name = image_hashes.normalized(requirement.name)
        if name in needed:
            continue
        needed.add(name)
        with suppress(PackageNotFoundError):
            for text in requires(requirement.name) or ():
                each = Requirement(text)
                extras = requirement.extras or {""}
                if each.marker is None or any(each.marker.evaluate({"extra": x}) for x in extras):
                    waiting.append(each)
    return needed


def test_the_build_backend_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    [backend] = project["build-system"]["requires"]
    assert re.fullmatch(r"hatchling==[0-9.]+", backend)
    assert backend in (ROOT / "constraints.txt").read_text().split()


def test_units_limit_memory() -> None:
    for name in ("mersalg.service", "mersalg-train.service"):
        assert re.search(r"^MemoryMax=[0-9]+G$", (FOLDER / name).read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel of what the container file copies, and nothing else of the
    project; what the project needs is borrowed from the environment of the tests.
    """
    folder = tmp_path_factory.mktemp("image")
    source = folder / "src"
    source.mkdir()
    for line in _values("COPY"):
        if line.startswith("--from="):
            continue
        *names, target = line.split()
        for name in names:
            if (ROOT / name).is_dir():
                ignore = shutil.ignore_patterns("__pycache__", "*.so")
                shutil.copytree(ROOT / name, source / target, ignore=ignore)
            else:
                shutil.copy(ROOT / name, source / target)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "wheel", "-q", "--no-deps", "--wheel-dir", str(folder), str(source)],
        check=True,
        capture_output=True,
    )
    shutil.rmtree(source)
    (wheel,) = folder.glob("*.whl")
    venv = folder / "opt"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    (site,) = venv.glob("lib/python*/site-packages")
    install = ["install", "-q", "--no-deps", "--no-warn-script-location"]
    subprocess.run(
        [*pip, "--python", str(venv / "bin" / "python"), *install, str(wheel)],
        check=True,
        capture_output=True,
    )
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return venv


def _read_only(writable: list[Path], command: list[str]) -> list[str]:
    """`command` where all of the file system but these folders is read-only."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return command
    kept = "".join(
        f"mount --bind {shlex.quote(str(path))} {shlex.quote(str(path))} && " for path in writable
    )
    script = f'mount --make-rprivate / && {kept}mount -o remount,bind,ro / && exec "$@"'
    inside = ["unshare", "--mount", "sh", "-c", script, "sh"]
    if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode:
        return command
    refused = subprocess.run([*inside, "touch", "/written"], capture_output=True, check=False)
    assert refused.returncode != 0
    return [*inside, *command]


@pytest.mark.postgres
def test_what_the_container_runs_runs(
    installed: Path, compose: dict[str, Any], tmp_path: Path, fresh_postgres_url: str
) -> None:
    """Entry point, command, environment and health check as written, on a read-only root."""
    state, temporary, secrets = (tmp_path / name for name in ("state", "tmp", "secrets"))
    for folder in (state, temporary, secrets, secrets / "keys"):
        folder.mkdir()
    publish_model(state / "models")
    (secrets / "database_url").write_text(fresh_postgres_url + "\n")
    (secrets / "secret").write_text("0123456789abcdef0123456789abcdef\n")
    (secrets / "keys" / "keys").write_text("storefront:a-key-of-thirty-two-characters-x\n")
    port = free_port()
    environment = _image_environment() | compose["services"]["mersalg"]["environment"]
    here = {
        "/opt/mersalg": installed,
        "/var/lib/mersalg": state,
        "/run/secrets": secrets,
        "/run/keys": secrets / "keys",
        "/tmp": temporary,
    }
    folders = re.compile("|".join(here))
    environment = {
        name: folders.sub(
            lambda found: str(here[found[0]]), re.sub(r"\$\{\w+:-(\w+)\}", r"\1", str(value))
        )
        for name, value in environment.items()
    }
    assert environment["MERSALG_HOST"] == "0.0.0.0"
    # Tests listen on loopback alone.
    environment |= {"MERSALG_HOST": "127.0.0.1", "MERSALG_PORT": str(port)}
    environment |= {"TMPDIR": str(temporary), "MERSALG_DRAIN_SECONDS": "0"}
    # How soon a machine that is busy with other tests answers is not looked at here.
    environment |= {"MERSALG_DATABASE_DEADLINE_MS": str(DEADLINE_MS)}
    environment |= {"MERSALG_GUARDRAIL_SECONDS": "0.1", "MERSALG_GUARDRAIL_POLL_SECONDS": "0.1"}
    command = json.loads(_values("ENTRYPOINT")[0]) + compose["services"]["mersalg"]["command"]
    command[0] = str(installed / "bin" / command[0])
    (health,) = _values("HEALTHCHECK")
    probe = json.loads(health[health.index("CMD") + 3 :])
    probe[0] = str(installed / "bin" / probe[0])

    def healthy() -> bool:
        return not subprocess.run(
            probe, env=environment, capture_output=True, timeout=WAIT_SECONDS, check=False
        ).returncode

    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            _read_only([state, temporary], command),
            cwd=state,
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        eventually(lambda: healthy() or process.poll() is not None)
        assert process.poll() is None, (tmp_path / "log").read_text()
        reported = _suggest(port)
        assert (reported["tracking"], bool(reported["offers"])) == ("recorded", True), reported
        # Its worker, and the processes of that: one of them judges the guardrail.
        seen = eventually(lambda: (found := _environments_below(process.pid))[2:] and found)
        assert not any(fresh_postgres_url.encode() in each for each in seen)
    finally:
        process.send_signal(signal.SIGTERM)
        ended = process.wait(WAIT_SECONDS)
    assert ended == 0
    assert not healthy()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert {"listening"} <= {line["message"] for line in lines}


def _environments_below(pid: int) -> list[bytes]:
    """Return the environments of the processes that a process started, and of those they did."""
    found: list[bytes] = []
    for child in children_of(pid):
        with suppress(FileNotFoundError):  # it has ended meanwhile
            found.append(Path(f"/proc/{child}/environ").read_bytes())
            found += _environments_below(child)
    return found


def _suggest(port: int) -> dict[str, Any]:
    import httpx

    answer = httpx.post(
        f"http://127.0.0.1:{port}/v1/suggestions",
        json={"checkout_id": "c", "lines": [{"item_id": "phone-64", "quantity": 1}]},
        headers={"Authorization": "Bearer a-key-of-thirty-two-characters-x"},
        trust_env=False,
        timeout=WAIT_SECONDS,
    )
    answer.raise_for_status()
    return answer.json()
