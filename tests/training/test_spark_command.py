"""Mining and training on Spark by the command line, and what it says where Spark cannot run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet

from mersalg.engine.errors import ConfigError
from mersalg.engine.registry import Registry
from mersalg.training.mining.spark import session
from mersalg.training.mining.spark.session import application_settings
from tests.support.commands import run
from tests.support.small_shop import write_small_shop

pytestmark = pytest.mark.spark


def _as_json(*arguments: object) -> dict[str, Any]:
    return json.loads(run(*arguments, "--json"))


@pytest.mark.usefixtures("spark")
def test_mine_writes_the_rules_of_every_other_engine(tmp_path: Path) -> None:
    orders = pd.read_csv(write_small_shop(tmp_path).with_name("orders.csv"), dtype=str)
    lines = orders[["order_id", "item_id"]]
    lines.to_parquet(tmp_path / "whole.parquet")
    for month in range(3):
        lines[month::3].to_parquet(tmp_path / f"month-{month}.parquet")
    out = {engine: tmp_path / f"{engine}.parquet" for engine in ("local", "spark")}
    options = ("--min-count", 3, "--max-length", 4, "--all-rules", "--out")
    local = _as_json("mine", tmp_path / "whole.parquet", *options, out["local"])
    spark = _as_json(
        *("mine", tmp_path / "month-*.parquet", "--engine", "spark", *options, out["spark"])
    )
    assert local["rules"] > 20
    assert any(len(rule["antecedent"]) > 1 for rule in parquet.read_table(out["local"]).to_pylist())
    # Every column, p- and q-values of long antecedents included, which ask how full orders are.
    assert parquet.read_table(out["spark"]).equals(parquet.read_table(out["local"]))
    own = {"engine", "out", "seconds", "seconds_reading"}
    assert {k: v for k, v in spark.items() if k not in own} == {
        k: v for k, v in local.items() if k not in own
    }


@pytest.mark.usefixtures("spark")
def test_train_makes_the_same_model(tmp_path: Path) -> None:
    shop = write_small_shop(tmp_path)
    rules = {}
    for engine in ("local", "spark"):
        models = tmp_path / engine
        version = _as_json("train", "--config", shop, "--models", models, "--engine", engine)
        rules[engine] = Registry(models).load(version["version"]).rules
    ours, theirs = rules["spark"], rules["local"]
    assert len(ours) > 2
    np.testing.assert_array_equal(ours.antecedents.values, theirs.antecedents.values)
    np.testing.assert_array_equal(ours.consequent, theirs.consequent)
    for mine, others in zip(ours.counts(), theirs.counts(), strict=True):
        np.testing.assert_array_equal(mine, others)


def _attempt(folder: Path, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "a.dat").write_text("a b\na b\n")
    arguments = ["mersalg", "mine", str(folder / "a.dat"), "--engine", "spark"]
    code = (
        f"import sys\n{code}\nsys.argv = {arguments!r}\n"
        "from mersalg.serving.cli.main import run\nrun()"
    )
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_pyspark_the_extra_is_named(tmp_path: Path) -> None:
    done = _attempt(tmp_path, "sys.modules['pyspark'] = None")
    assert done.returncode == 2
    assert "pip install 'mersalg[spark]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_java_it_is_asked_for(tmp_path: Path) -> None:
    done = _attempt(tmp_path, "", JAVA_HOME=str(tmp_path / "none"))
    assert done.returncode == 2
    assert "needs Java 17" in done.stderr
    assert str(tmp_path / "none") in done.stderr
    assert "Traceback" not in done.stderr


def test_settings_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MERSALG_SPARK_MASTER", "MERSALG_SPARK_CONF", "SPARK_CONF_DIR", "SPARK_HOME"):
        monkeypatch.delenv(name, raising=False)
    here = application_settings()
    assert here["spark.master"] == "local[*]"
    assert here["spark.driver.bindAddress"] == "127.0.0.1"
    assert here["spark.ui.enabled"] == "false"
    (tmp_path / "spark-defaults.conf").write_text(
        "# the cluster\nspark.master  yarn\nspark.executor.memory=4g\nspark.app.name: shop\n"
    )
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    monkeypatch.setenv(
        "MERSALG_SPARK_CONF",
        "spark.executor.memory=8g spark.driver.extraJavaOptions='-Xss4m -Da=b'",
    )
    away = application_settings()
    assert away["spark.master"] == "yarn"
    assert away["spark.app.name"] == "shop"
    assert away["spark.executor.memory"] == "8g"
    assert away["spark.driver.extraJavaOptions"].endswith(" -Xss4m -Da=b")
    # A cluster must reach the driver.
    assert "spark.driver.bindAddress" not in away
    monkeypatch.setenv("MERSALG_SPARK_MASTER", "spark://head:7077")
    assert application_settings()["spark.master"] == "spark://head:7077"


@pytest.mark.parametrize("text", ["executor.memory=8g", "spark.executor.memory", "spark.a='b"])
def test_settings_that_cannot_be_read_are_reported(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(session.CONF, text)
    with pytest.raises(ConfigError, match="MERSALG_SPARK_CONF"):
        application_settings()


def test_a_cluster_that_is_not_there_is_reported(tmp_path: Path) -> None:
    done = _attempt(tmp_path, "", MERSALG_SPARK_MASTER="abacus://here")
    assert done.returncode == 2
    assert "Spark does not start on abacus://here" in done.stderr
    assert "Traceback" not in done.stderr
