# What the scripts share: words to the caller, and a temporary folder with what runs in it.
# To be sourced; `make_folder` sets `folder`.

die() {
    echo "$0: $*" >&2
    exit 1
}

step() {
    echo "==> $*" >&2
}

# What everything is built with.
need_compilers() {
    command -v cargo >/dev/null || die "no cargo found: install Rust 1.95 or newer"
    command -v cc >/dev/null || die "no C compiler found: SQLite and the cryptography are built from C"
}

# Installs Debian packages, without anything of them being started.
#
#   install_packages 'what they are' PACKAGE…
install_packages() (
    what=$1
    shift
    [[ $EUID -eq 0 ]] && command -v apt-get >/dev/null ||
        die "no $what found: install '$*' and try again"
    step "installing $what"
    # A policy that somebody wrote already says what they want.
    policy=/usr/sbin/policy-rc.d
    if [[ ! -e $policy ]]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
    fi
    # The second and the option keep configuration that is there already.
    export DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1
    apt-get update -qq >&2 &&
        apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-confold "$@" >&2 ||
        die "installing $what failed"
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

# Makes "$folder", which goes when the script ends, however it ends; with it, whatever a script has
# added to `at_the_end`.
at_the_end=()
make_folder() {
    folder=$(mktemp -d "${TMPDIR:-/tmp}/frontdesk.XXXXXX")
    trap clean_up EXIT
    # With these an interrupted run ends through the trap above, too.
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
}

clean_up() {
    local status=$? stop
    trap - EXIT
    for stop in "${at_the_end[@]}"; do
        "$stop" "$status"
    done
    # What was killed a moment ago may still have written.
    rm -rf "$folder" 2>/dev/null || { sleep 1 && rm -rf "$folder"; }
    exit "$status"
}

# Builds the server as it is shipped, in a folder of its own: the tests' build of it has switches that are
# for tests alone. With `--release` as it is measured. Sets `FRONTDESK_BINARY`.
shipped=${CARGO_TARGET_DIR:-target}/shipped
build_server() {
    step "building the server"
    FRONTDESK_BINARY=$(cargo build --locked "$@" --target-dir "$shipped" --bin frontdesk \
        --message-format=json-render-diagnostics |
        sed -n 's/.*"name":"frontdesk".*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
    [[ -x $FRONTDESK_BINARY ]] || die "cargo built no server"
    export FRONTDESK_BINARY
}
