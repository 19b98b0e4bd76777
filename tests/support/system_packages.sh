#!/bin/sh
# What tests need of the operating system, installed where that is possible (root, apt).
# Where it is not, the tests that need it are skipped with a printed reason.
set -u
wanted=""
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || wanted="$wanted chromium"
command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || wanted="$wanted postgresql"
command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ] || wanted="$wanted pgbouncer"
command -v java >/dev/null || [ -n "${JAVA_HOME:-}" ] || wanted="$wanted default-jre-headless"
[ -e /usr/share/java/postgresql.jar ] || wanted="$wanted libpostgresql-jdbc-java"
command -v node >/dev/null || wanted="$wanted nodejs"
command -v php >/dev/null || wanted="$wanted php-cli"
command -v systemd-analyze >/dev/null || wanted="$wanted systemd"
[ -z "$wanted" ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "not installed, and not root with apt:$wanted; the tests that need it will be skipped"
  exit 0
fi
echo "installing$wanted ..."
# A server that starts by itself would be in nobody's hands; the tests start their own.
printf '#!/bin/sh\nexit 101\n' > /tmp/mersalg-policy-rc.d && chmod +x /tmp/mersalg-policy-rc.d
[ -e /usr/sbin/policy-rc.d ] || { cp /tmp/mersalg-policy-rc.d /usr/sbin/policy-rc.d; made=1; }
apt-get update -qq >/dev/null
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $wanted >/dev/null 2>&1 \
  || echo "could not install:$wanted; the tests that need it will be skipped"
[ "${made:-}" = 1 ] && rm -f /usr/sbin/policy-rc.d
rm -f /tmp/mersalg-policy-rc.d
exit 0
