"""What the service is told when it starts, and when it refuses to."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from mersalg.engine.errors import ConfigError
from mersalg.serving.keys import SCOPES, KeyRing, digest_of, load_keys, parse_keys
from mersalg.serving.settings import ServeSettings, load_settings


def scopes_of(ring: KeyRing, key: str) -> set[str]:
    return {each.scope for each in ring.keys if each.digest == digest_of(key)}


def test_keys_by_text_and_by_digest() -> None:
    digest = hashlib.sha256(b"secret-two").hexdigest()
    ring = parse_keys(
        f"storefront:secret-one, report:sha256={digest}\n# admin:commented\nserver:a:b", source="x"
    )
    assert scopes_of(ring, "secret-one") == {"storefront"}
    assert scopes_of(ring, "secret-two") == {"report"}
    assert scopes_of(ring, "a:b") == {"server"}  # a key may hold a colon
    assert scopes_of(ring, "commented") == frozenset()
    assert scopes_of(ring, "") == frozenset()


def test_a_scope_may_have_several_keys_and_a_key_several_scopes() -> None:
    ring = parse_keys("report:one report:two admin:two", source="x")
    assert scopes_of(ring, "one") == {"report"}
    assert scopes_of(ring, "two") == {"report", "admin"}


def test_keys_are_not_kept_nor_shown() -> None:
    settings = load_settings({"MERSALG_KEYS": "admin:very-secret-key"})
    assert "very-secret-key" not in repr(settings)
    assert "very-secret-key" not in repr(settings.keys)
    assert settings.session_secret.hex() not in repr(settings)


@pytest.mark.parametrize(
    "text", ["nonsense", "root:key", "admin:", "admin:sha256=12", f"admin:sha256={'g' * 64}"]
)
def test_malformed_keys_are_refused_without_repeating_them(text: str) -> None:
    with pytest.raises(ConfigError, match="key 2") as caught:
        parse_keys(f"storefront:fine {text}", source="MERSALG_KEYS")
    assert "sha256=12" not in str(caught.value)


def test_keys_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# our keys\nstorefront:one\nserver:two\n")
    ring = load_keys({"MERSALG_KEYS": "report:three", "MERSALG_KEYS_FILE": str(file)})
    assert [key.scope for key in ring.keys] == ["report", "storefront", "server"]


def test_a_key_file_that_is_missing_or_empty_opens_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("# nothing yet\n")
    for name in ("empty", "missing"):
        with pytest.raises(ConfigError, match="MERSALG_KEYS_FILE"):
            load_keys({"MERSALG_KEYS_FILE": str(tmp_path / name)})


def test_flags_go_before_the_environment_and_that_before_defaults() -> None:
    environment = {"MERSALG_PORT": "9001", "MERSALG_BODY_LIMIT_BYTES": "2048", "OTHER": "x"}
    settings = load_settings(environment, port=9002, host=None)
    assert settings.port == 9002
    assert settings.body_limit_bytes == 2048
    assert settings.host == "127.0.0.1"
    assert settings.database == "sqlite:///mersalg.db"


def test_origins_are_words() -> None:
    settings = load_settings({"MERSALG_ALLOWED_ORIGINS": "https://a.example, https://b.example"})
    assert settings.allowed_origins == ("https://a.example", "https://b.example")


def test_wrong_settings_name_their_variable() -> None:
    with pytest.raises(ConfigError, match="MERSALG_WORKERS") as caught:
        load_settings({"MERSALG_WORKERS": "many", "MERSALG_PORT": "70000"})
    assert len(caught.value.details["problems"]) == 2  # type: ignore[arg-type]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "::1", "[::1]"])
def test_loopback_needs_no_keys(host: str) -> None:
    assert load_settings({}, host=host).on_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "shop.example", "localhost.evil"])
def test_other_addresses_need_keys(host: str) -> None:
    with pytest.raises(ConfigError, match="MERSALG_KEYS"):
        load_settings({}, host=host)
    keyed = load_settings({"MERSALG_KEYS": "admin:some-key"}, host=host)
    assert not keyed.on_loopback


@pytest.mark.parametrize(
    ("database", "folder"),
    [
        ("sqlite:///mersalg.db", "mersalg.db.spool"),
        ("sqlite:////data/facts.db?x=1", "/data/facts.db.spool"),
        ("postgresql://db.example/shop", "mersalg-spool"),
        ("sqlite://", "mersalg-spool"),
    ],
)
def test_the_spool_lies_beside_an_embedded_database(database: str, folder: str) -> None:
    assert load_settings({}, database=database).spool_folder == Path(folder)
    assert load_settings({}, database=database, spool=Path("s")).spool_folder == Path("s")


def test_scopes_are_those_of_the_documentation() -> None:
    assert SCOPES == ("storefront", "server", "report", "admin")


def test_every_setting_is_described() -> None:
    undescribed = [
        name for name, field in ServeSettings.model_fields.items() if not field.description
    ]
    assert undescribed == []


def test_a_variable_nearly_written_as_a_setting_is_an_error() -> None:
    said = "MERSALG_PROT is not a setting; did you mean MERSALG_PORT?"
    with pytest.raises(ConfigError, match=re.escape(said)):
        load_settings({"MERSALG_PROT": "9001"})
    assert load_settings({"MERSALG_SPARK_MASTER": "local", "MERSALG_OF_A_SHOP": "x"}).port == 8000
