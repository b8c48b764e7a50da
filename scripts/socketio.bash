# The tests with Socket.IO's own clients: tests/socketio. To be sourced after nodejs.bash.
# What npm fetches is in the target folder.

build_socketio() {
    need_nodejs
    command -v chromium >/dev/null || install_packages Chromium chromium
    [[ -x /usr/sbin/nginx ]] || command -v nginx >/dev/null || install_packages nginx nginx
    step "fetching Socket.IO's clients"
    socketio=${CARGO_TARGET_DIR:-target}/socketio
    npm_packages tests/socketio "$socketio"
    socketio=$(realpath "$socketio")
    rm -rf "$socketio"/{kit,tutorials,*.test.mjs}
    cp -r tests/socketio/{kit,tutorials,*.test.mjs} "$socketio"
    share_nodejs "$socketio"
}

# A PostgreSQL and a RabbitMQ are running; the tests start everything else.
test_socketio() {
    step "Socket.IO's clients"
    browser_folder "$socketio"
    PATH=$programs:$PATH TUTORIALS_TOML=$PWD/config/tutorials.toml \
        RABBITMQ_URL=$FRONTDESK_TEST_RABBITMQ_URL TMPDIR=$socketio/tmp \
        node --test --test-force-exit --test-reporter=spec "$socketio"/*.test.mjs ||
        die "tests with Socket.IO's clients failed"
}
