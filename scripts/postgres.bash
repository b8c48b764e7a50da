# What scripts/test and scripts/bench share: a private PostgreSQL in a temporary folder on a free port.
# To be sourced; sets `folder`, `programs` and `port`. No cluster that is already on the machine is touched.

die() {
    echo "$0: $*" >&2
    exit 1
}

step() {
    echo "==> $*" >&2
}

# What both build with.
need_compilers() {
    command -v cargo >/dev/null || die "no cargo found: install Rust 1.95 or newer"
    command -v cc >/dev/null || die "no C compiler found: SQLite and the cryptography are built from C"
}

# The newest PostgreSQL server on the machine; fails where there is none.
server_programs() {
    local initdb
    initdb=$(ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -V | tail -n 1)
    [[ -n $initdb ]] || initdb=$(command -v initdb) || return 1
    dirname "$initdb"
}

install_postgres() {
    [[ $EUID -eq 0 ]] && command -v apt-get >/dev/null ||
        die "no PostgreSQL server found: install the package 'postgresql' and try again"
    step "installing PostgreSQL"
    # Debian makes and starts a cluster when the package is installed. Nobody asked for one. A file
    # that somebody wrote already says what they want.
    if [[ ! -e /etc/postgresql-common/createcluster.conf ]]; then
        mkdir -p /etc/postgresql-common
        echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
    fi
    # The second and the option keep the file above, which the package would replace.
    export DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1
    apt-get update -qq >&2 &&
        apt-get install -y -qq --no-install-recommends \
            -o Dpkg::Options::=--force-confold postgresql >&2 ||
        die "installing PostgreSQL failed"
}

# Runs a command as somebody PostgreSQL agrees to run as: it refuses root. The checkout may be
# closed to them, so it runs in the folder that is theirs.
as_postgres() (
    cd "$folder"
    if [[ $EUID -eq 0 ]]; then
        exec setpriv --reuid=postgres --regid=postgres --init-groups "$@"
    fi
    exec "$@"
)

# A port nobody listens on. It may be taken before we use it, so the caller tries more than once.
free_port() {
    local port
    for _ in {1..50}; do
        port=$((20000 + RANDOM % 12000))
        (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port" && return; }
    done
    return 1
}

# Makes "$folder", which goes when the script ends, however it ends.
make_folder() {
    folder=$(mktemp -d "${TMPDIR:-/tmp}/frontdesk.XXXXXX")
    trap clean_up EXIT
    # With these an interrupted run ends through the trap above, too.
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
}

# Makes a cluster in "$folder" and starts it with the options given.
start_postgres() {
    programs=$(server_programs) || install_postgres
    programs=${programs:-$(server_programs)} || die "PostgreSQL was installed, but has no initdb"
    [[ $EUID -ne 0 ]] || chown postgres: "$folder"
    step "starting PostgreSQL from $programs"
    as_postgres "$programs/initdb" -D "$folder/data" -U postgres -A trust -E UTF8 --locale=C --no-sync \
        >"$folder/initdb.log" 2>&1 || { cat "$folder/initdb.log" >&2 && die "initdb failed"; }
    try_port "$@" || try_port "$@" || try_port "$@" || die "PostgreSQL did not start"
}

# Starts the cluster on a free port; fails if it was taken after all.
try_port() {
    port=$(free_port)
    # Waits until the server answers, for a minute at most; notices at once when it has died.
    as_postgres "$programs/pg_ctl" -D "$folder/data" -l "$folder/postgres.log" \
        -o "-p $port -k '$folder' -c listen_addresses=127.0.0.1 $*" \
        -w -t 60 start >/dev/null || { tail -n 20 "$folder/postgres.log" >&2 && return 1; }
}

clean_up() {
    local status=$?
    trap - EXIT
    if [[ -e $folder/data/postmaster.pid ]]; then
        as_postgres "$programs/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null || true
    fi
    if [[ $status -ne 0 && -s $folder/server.log ]]; then
        echo "the server's last words:" >&2
        tail -n 20 "$folder/server.log" >&2
    fi
    rm -rf "$folder"
    exit "$status"
}
