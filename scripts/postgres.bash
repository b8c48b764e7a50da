# A private PostgreSQL on a free port. To be sourced after common.bash; sets `programs` and `port`.
# No cluster that is already on the machine is touched.

# The newest PostgreSQL server on the machine; fails where there is none.
server_programs() {
    local initdb
    initdb=$(ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -V | tail -n 1)
    [[ -n $initdb ]] || initdb=$(command -v initdb) || return 1
    dirname "$initdb"
}

install_postgres() {
    # Debian makes a cluster when the package is installed. Nobody asked for one. A file that somebody
    # wrote already says what they want.
    if [[ $EUID -eq 0 && ! -e /etc/postgresql-common/createcluster.conf ]]; then
        mkdir -p /etc/postgresql-common
        echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
    fi
    install_packages 'PostgreSQL server' postgresql
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

# Makes a cluster in "$folder" and starts it with the options given.
start_postgres() {
    programs=$(server_programs) || install_postgres
    programs=${programs:-$(server_programs)} || die "PostgreSQL was installed, but has no initdb"
    [[ $EUID -ne 0 ]] || chown postgres: "$folder"
    at_the_end+=(stop_postgres)
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

stop_postgres() {
    if [[ -e $folder/data/postmaster.pid ]]; then
        as_postgres "$programs/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null || true
    fi
}
