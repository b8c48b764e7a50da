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

test_operation() {
    step "descriptions, TLS and proxies"
    SCHEMATHESIS=$operation/python/bin/schemathesis KEYS=$PWD/tests/keys SAMPLE=$PWD/deploy/proxies/nginx.conf \
        node --test --test-force-exit --test-reporter=spec "$operation"/*.test.mjs ||
        die "tests of the operation failed"
}
