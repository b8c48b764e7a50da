# A private Redis on a free port. To be sourced after common.bash; sets `redis_port`. No Redis that is
# already on the machine is touched, and none is started by its installation.

# Makes one in "$folder/redis", and waits until it answers.
start_redis() {
    command -v redis-server >/dev/null || install_packages Redis redis-server
    command -v redis-server >/dev/null || die "Redis was installed, but has no redis-server"
    at_the_end+=(stop_redis)
    step "starting Redis"
    mkdir -p "$folder/redis"
    try_redis || try_redis || try_redis || die "Redis did not start"
}

# Starts it on a free port; fails if that was taken after all.
try_redis() {
    redis_port=$(free_port)
    redis-server --bind 127.0.0.1 --port "$redis_port" --dir "$folder/redis" --save '' \
        --appendonly no >"$folder/redis/redis.log" 2>&1 &
    redis_pid=$!
    # Its end is expected, and no news.
    disown
    for _ in {1..150}; do
        kill -0 "$redis_pid" 2>/dev/null || { tail -n 20 "$folder/redis/redis.log" >&2 && return 1; }
        (: <"/dev/tcp/127.0.0.1/$redis_port") 2>/dev/null && return
        sleep 0.2
    done
    stop_redis
    return 1
}

stop_redis() {
    kill -KILL "$redis_pid" 2>/dev/null || true
}
