# The tests of the pages and of the JavaScript client: tests/web. To be sourced after nodejs.bash.
# What npm fetches is in the target folder.

build_web() {
    need_nodejs
    command -v chromium >/dev/null || install_packages Chromium chromium
    # Without them Korean and Chinese are boxes.
    [[ -d /usr/share/fonts/opentype/noto ]] || install_packages fonts fonts-noto-cjk
    step "fetching the tools of the pages' tests"
    web=${CARGO_TARGET_DIR:-target}/web
    npm_packages tests/web "$web"
    web=$(realpath "$web")
    local entry
    for entry in tests/web/*; do
        rm -rf "$web/${entry##*/}" && cp -r "$entry" "$web"
    done
    share_nodejs "$web"
    step "checking the types of the scripts"
    "$web/node_modules/.bin/tsc" --project web/client && "$web/node_modules/.bin/tsc" --project tests/web ||
        die "the scripts' types are wrong"
}

# A PostgreSQL is running; the tests start everything else.
test_web() {
    step "pages, widget and client"
    browser_folder "$web"
    local tests
    mapfile -t tests < <(find "$web" -name node_modules -prune -o -name '*.test.mjs' -print | sort)
    FRONTDESK_WEB=$PWD/web TMPDIR=$web/tmp \
        node --test --test-force-exit --test-concurrency=2 --test-reporter=spec "${tests[@]}" ||
        die "tests of the pages failed"
}
