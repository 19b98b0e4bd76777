"""Spark on this machine for tests: one application a test process, on loopback, quick to start."""

from __future__ import annotations

import os
from pathlib import Path
from shutil import which

from tests.support.system import missing
from tests.support.waiting import WAIT_SECONDS

_QUICK = {
    "spark.driver.memory": "1g",
    # Small data: less to compile, and fewer parts, than a large cluster would want.
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.sql.shuffle.partitions": "3",
}
DRIVER_JAR = Path("/usr/share/java/postgresql.jar")


class LocalSpark:
    """Settings by environment, as in production; the first engine that needs Spark starts it."""

    def __init__(self) -> None:
        if which("java") is None and "JAVA_HOME" not in os.environ:
            missing("Java, which Spark runs on,")
        self._before = {
            name: os.environ.get(name) for name in ("MERSALG_SPARK_MASTER", "MERSALG_SPARK_CONF")
        }
        os.environ["MERSALG_SPARK_MASTER"] = "local[2]"
        os.environ["MERSALG_SPARK_CONF"] = " ".join(
            f"{name}='{value}'" for name, value in _QUICK.items()
        )

    def stop(self) -> None:
        """End the application and its Java process."""
        from pyspark import SparkContext
        from pyspark.sql import SparkSession

        running = SparkSession.getActiveSession()
        if running is not None:
            running.stop()
            gateway = SparkContext._gateway
            gateway.shutdown()
            gateway.proc.stdin.close()
            gateway.proc.wait(WAIT_SECONDS)
            SparkContext._gateway = SparkContext._jvm = None
        for name, value in self._before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
