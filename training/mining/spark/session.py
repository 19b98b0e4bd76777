"""Start Spark by settings from the environment, one application a process."""

from __future__ import annotations

import os
import re
import shlex
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

from mersalg.engine.errors import ConfigError, DataError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MASTER = "MERSALG_SPARK_MASTER"
"""URL of the cluster: `spark://host:7077`, `yarn`, `k8s://...`, `local[2]`."""
CONF = "MERSALG_SPARK_CONF"
"""More settings, as a shell would split them: `spark.executor.memory=8g spark.jars=...`."""

_LOGGING = Path(__file__).with_name("log4j2.properties")
_DRIVER_JAR = Path("/usr/share/java/postgresql.jar")
"""Where Debian's libpostgresql-jdbc-java puts the JDBC driver."""
_OF_QUERIES = {
    "spark.sql.adaptive.enabled": "true",
    # Else every cached table keeps as many parts as a large cluster would want of it.
    "spark.sql.optimizer.canChangeCachedPlanOutputPartitioning": "true",
    "spark.sql.caseSensitive": "true",
    # It would cut an array for every row before a join, to see that what is left is not empty.
    "spark.sql.optimizer.excludedRules": (
        "org.apache.spark.sql.catalyst.optimizer.InferFiltersFromGenerate"
    ),
    # A reader that skips columns does not notice rows of another width.
    "spark.sql.csv.parser.columnPruning.enabled": "false",
    "spark.sql.session.timeZone": "UTC",
}
_JAVA_OPTIONS = "spark.driver.extraJavaOptions"
_PROPERTY = re.compile(r"\s*([^#!\s=:][^\s=:]*)\s*[\s=:]\s*(.*?)\s*")


def open_session() -> SparkSession:
    """Return a session with its own query settings, in the running application or a new one.

    Settings, the later over the earlier: ours, `$SPARK_CONF_DIR/spark-defaults.conf`,
    MERSALG_SPARK_CONF, MERSALG_SPARK_MASTER. Without a master all cores of this machine are used,
    and nothing listens beyond loopback.

    Raises ConfigError: Pyspark or Java is missing, a setting cannot be read, or Spark does not
    start.
    """
    try:
        from py4j.protocol import Py4JJavaError
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ModuleNotFoundError as error:
        raise ConfigError("mining on Spark needs pyspark: pip install 'mersalg[spark]'") from error
    running = SparkSession.getActiveSession()
    if running is None:
        _require_java()
        settings = application_settings()
        builder = SparkSession.builder
        for name, value in settings.items():
            builder = builder.config(name, value)
        try:
            with warnings.catch_warnings():
                # pyspark starts Java by a fork; newer Pythons warn of one where there are threads.
                warnings.simplefilter("ignore", DeprecationWarning)
                running = builder.getOrCreate()
        except (PySparkException, Py4JJavaError, OSError) as error:
            where = settings["spark.master"]
            raise ConfigError(f"Spark does not start on {where}: {reason(error)}") from error
    session = running.newSession()
    for name, value in _OF_QUERIES.items():
        session.conf.set(name, value)
    return session


def application_settings() -> dict[str, str]:
    """Return the settings that a new application is started with.

    Raises ConfigError: MERSALG_SPARK_CONF is not made of spark.NAME=VALUE.
    """
    given = {**_defaults_file(), **_inline(os.environ.get(CONF, ""))}
    master = os.environ.get(MASTER) or given.get("spark.master") or "local[*]"
    settings = {"spark.app.name": "mersalg", "spark.ui.showConsoleProgress": "false"}
    if master.startswith("local"):
        # A quarter of this machine's memory, from 1 to 4 GiB: Spark's default is 1 GiB.
        quarter = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4
        settings |= {
            "spark.driver.memory": f"{min(max(quarter >> 20, 1024), 4096)}m",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
        }
    if _DRIVER_JAR.is_file():
        settings["spark.jars"] = str(_DRIVER_JAR)
    logging = f'-Dlog4j2.configurationFile="{_LOGGING}"'
    options = f"{logging} {given.get(_JAVA_OPTIONS, '')}".strip()
    return {**settings, **given, "spark.master": master, _JAVA_OPTIONS: options}


def _inline(text: str) -> dict[str, str]:
    try:
        parts = shlex.split(text)
    except ValueError as error:
        raise ConfigError(f"{CONF} cannot be read: {error}") from error
    settings: dict[str, str] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if not equals or not name.startswith("spark."):
            raise ConfigError(f"{CONF} wants spark.NAME=VALUE, not {name!r}")
        settings[name] = value
    return settings


def _defaults_file() -> dict[str, str]:
    """Spark's own defaults, which a session started from Python would else put behind ours."""
    folder = os.environ.get("SPARK_CONF_DIR")
    if folder is None and (home := os.environ.get("SPARK_HOME")):
        folder = str(Path(home, "conf"))
    file = Path(folder, "spark-defaults.conf") if folder else None
    if file is None or not file.is_file():
        return {}
    matches = map(_PROPERTY.fullmatch, file.read_text(encoding="utf-8").splitlines())
    return {line[1]: line[2] for line in matches if line}


def _require_java() -> None:
    home = os.environ.get("JAVA_HOME")
    there = Path(home, "bin", "java").is_file() if home else which("java") is not None
    # Under spark-submit a JVM runs already.
    if not there and "PYSPARK_GATEWAY_PORT" not in os.environ:
        where = f"JAVA_HOME is {home}, which has none" if home else "there is none on PATH"
        raise ConfigError(
            f"mining on Spark needs Java 17 or newer, and {where}: install one (Debian:"
            " openjdk-17-jre-headless; see also mersalg[spark]) or set JAVA_HOME"
        )


@contextmanager
def reading(name: str) -> Generator[None, None, None]:
    """Turn what Spark says of a source into a DataError that names it.

    Raises ConfigError: a database driver is missing.
    """
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        text = str(error)
        if "PATH_NOT_FOUND" in text:
            raise DataError("no such file", file=name) from error
        if "No suitable driver" in text or "ClassNotFoundException" in text:
            raise ConfigError(
                "Spark has no JDBC driver for this database: install it (Debian:"
                f" libpostgresql-jdbc-java) or name its jar, {CONF}='spark.jars=FILE.jar'"
            ) from error
        raise DataError(f"Spark cannot read it: {reason(error)}", file=name) from error


def reason(error: Exception) -> str:
    """Return the line of a Java or Spark error that says what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    return (causes or lines or [type(error).__name__])[-1 if causes else 0][:300]
