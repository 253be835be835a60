# Sourced after engine.sh, by what needs lakes: puts the engine's extensions into the cache folder, starts a PostgreSQL
# server and one that speaks S3, both on loopback and with data of their own, and stops them at the end. It installs
# logrotate too, which tests/suite/rotation.rs runs. The variables that it sets are those that tests/suite/lakes.rs
# reads; one that is set already is left alone. Where something is impossible, a line says why, and what needs it is
# skipped.

services_folder=$(mktemp -d)
services_pids=()

stop_services() {
    { set +x; } 2>/dev/null
    if [ -f "$services_folder/postgres/postmaster.pid" ]; then
        as_postgres "$postgres_programs/pg_ctl" -D "$services_folder/postgres" -m immediate stop >/dev/null || true
    fi
    if [ ${#services_pids[@]} -gt 0 ]; then
        kill "${services_pids[@]}" 2>/dev/null || true
    fi
    rm -rf "$services_folder"
}
trap stop_services EXIT

skipping() {
    echo "skipped: $1: $2" >&2
}

# Leaves what services.txt names in $1; prints what went wrong.
fetch_packages() {
    local folder=$1 work
    python3 -m pip --version >/dev/null 2>&1 || { echo "python3 with pip is not installed"; return 1; }
    work=$(mktemp -d "$cache/services.XXXXXX") || { echo "cannot write to $cache"; return 1; }
    python3 -m pip install --quiet --no-deps --require-hashes --disable-pip-version-check \
        --target "$work" -r scripts/services.txt >"$work/errors" 2>&1 ||
        { echo "the download failed: $(grep -m 1 ERROR "$work/errors")"; rm -rf "$work"; return 1; }
    local platform
    case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) platform=linux_amd64 ;;
    Linux-aarch64) platform=linux_arm64 ;;
    Darwin-arm64) platform=osx_arm64 ;;
    esac
    mkdir -p "$work/extensions/v1.5.5/$platform" &&
        mv "$work"/duckdb_extension_*/extensions/v1.5.5/*.duckdb_extension "$work/extensions/v1.5.5/$platform/" &&
        rm -rf "$folder" "$work"/duckdb_extension_* && mv "$work" "$folder" || { echo "cannot unpack it"; return 1; }
}

# A server refuses to run as root.
as_postgres() {
    if [ "$(id -u)" = 0 ]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi
}

find_postgres() {
    local programs
    for programs in /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql*/bin "$(dirname "$(command -v initdb || echo /none/initdb)")"; do
        if [ -x "$programs/initdb" ]; then
            postgres_programs=$programs
            return 0
        fi
    done
    return 1
}

# Installs Debian packages; prints what went wrong.
install_packages() {
    command -v apt-get >/dev/null || { echo "it is not installed"; return 1; }
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=60)
    if [ "$(id -u)" != 0 ]; then
        sudo -n true 2>/dev/null || { echo "it is not installed, and installing it needs root"; return 1; }
        apt=(sudo -n "${apt[@]}")
    fi
    { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "$@"; } >"$services_folder/apt" 2>&1 ||
        { echo "installing it failed: $(tail -n 1 "$services_folder/apt")"; return 1; }
}

# It is no program of users: their PATH may not lead to it.
find_logrotate() {
    PATH="$PATH:/usr/sbin:/opt/homebrew/sbin" command -v logrotate
}

a_password() {
    head -c 18 /dev/urandom | base64 | tr '+/' '-_'
}

# Sets LOGSTORE_TEST_POSTGRES, and where the programs are; leaves in $problem what went wrong.
start_postgres() {
    find_postgres || problem=$(install_packages postgresql iproute2) && find_postgres || return 1
    export LOGSTORE_TEST_POSTGRES_PROGRAMS="$postgres_programs"
    local data="$services_folder/postgres" log="$services_folder/postgres.log" password port
    password=$(a_password)
    chmod 755 "$services_folder"
    mkdir "$data" && echo "$password" >"$services_folder/password" && touch "$log"
    if [ "$(id -u)" = 0 ]; then chown postgres "$data" "$log" "$services_folder/password"; fi
    as_postgres "$postgres_programs/initdb" --pgdata "$data" --username logstore --auth scram-sha-256 \
        --pwfile "$services_folder/password" --no-sync >"$services_folder/initdb" 2>&1 ||
        { problem="initdb failed: $(tail -n 1 "$services_folder/initdb")"; return 1; }
    for _ in 1 2 3 4 5; do
        port=$((20000 + RANDOM % 10000))
        # Data of tests need not outlive the machine.
        if as_postgres "$postgres_programs/pg_ctl" -D "$data" -l "$log" -w start -o \
            "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=${postgres_fsync:-off} -c max_connections=200" \
            >/dev/null; then
            export LOGSTORE_TEST_POSTGRES="host=127.0.0.1 port=$port user=logstore password=$password"
            return 0
        fi
    done
    problem="the server does not start: $(tail -n 1 "$log")"
    return 1
}

# Sets LOGSTORE_TEST_S3 to the address, the key's name and the key, with a bucket `logs`, and LOGSTORE_TEST_S3_FOLDER to
# the folder of that bucket.
start_s3() {
    local port secret
    secret=$(a_password)
    mkdir -p "$services_folder/s3/logs"
    for _ in 1 2 3 4 5; do
        port=$((30000 + RANDOM % 10000))
        "$packages/bin/rclone" serve s3 --config "" --addr "127.0.0.1:$port" --auth-key "logstore,$secret" \
            "$services_folder/s3" >"$services_folder/s3.log" 2>&1 &
        for _ in $(seq 50); do
            sleep 0.1
            kill -0 $! 2>/dev/null || continue 2
            if (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
                services_pids+=($!)
                export LOGSTORE_TEST_S3="http://127.0.0.1:$port logstore $secret"
                export LOGSTORE_TEST_S3_FOLDER="$services_folder/s3/logs"
                return 0
            fi
        done
        kill $! 2>/dev/null
    done
    problem="the server does not start: $(tail -n 1 "$services_folder/s3.log")"
    return 1
}

packages="$cache/services/1"
mkdir -p "$(dirname "$packages")"
if [ -d "$packages" ] || problem=$(fetch_packages "$packages"); then
    export LOGSTORE_TEST_EXTENSIONS="${LOGSTORE_TEST_EXTENSIONS:-$packages/extensions}"
    [ -n "${LOGSTORE_TEST_S3:-}" ] || start_s3 || skipping "lakes in S3" "$problem"
else
    skipping "lakes" "$problem"
fi
[ -n "${LOGSTORE_TEST_POSTGRES:-}" ] || start_postgres || skipping "lakes with a catalog in PostgreSQL" "$problem"
find_logrotate >/dev/null || problem=$(install_packages logrotate) || skipping "rotation by logrotate" "$problem"
