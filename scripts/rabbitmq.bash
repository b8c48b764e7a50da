# A private RabbitMQ, started in the background and waited for when it is needed, since its start
# takes a while. To be sourced after common.bash; sets `rabbitmq_port`. No broker that is
# already on the machine is touched.

# The program itself: the one in the PATH would change to a user of its own.
rabbitmq_server() {
    local program
    for program in /usr/lib/rabbitmq/bin/rabbitmq-server "$(command -v rabbitmq-server)"; do
        [[ -x $program ]] && echo "$program" && return
    done
    return 1
}

# Erlang's own, which is not in every PATH.
port_mapper() {
    command -v epmd || ls -d /usr/lib/erlang/erts-*/bin/epmd 2>/dev/null | sort -V | tail -n 1
}

need_rabbitmq() {
    rabbitmq_server >/dev/null || install_packages RabbitMQ rabbitmq-server
    rabbitmq_server >/dev/null || die "RabbitMQ was installed, but has no rabbitmq-server"
}

# Starts one in "$folder/rabbitmq", and does not wait for it.
start_rabbitmq() {
    need_rabbitmq
    step "starting RabbitMQ"
    at_the_end+=(stop_rabbitmqs)
    try_rabbitmq
}

try_rabbitmq() {
    rabbitmq_port=$(free_port)
    setsid scripts/rabbitmq-node "$folder/rabbitmq" "$rabbitmq_port" &
    rabbitmq_pid=$!
    # Its end is expected, and no news.
    disown
}

# Waits until the one that was started answers, for two minutes at most. If it found its port taken
# after all, it is started again.
await_rabbitmq() {
    local starts=1
    for _ in {1..600}; do
        (: <"/dev/tcp/127.0.0.1/$rabbitmq_port") 2>/dev/null && return
        if ! kill -0 "$rabbitmq_pid" 2>/dev/null; then
            tail -n 20 "$folder/rabbitmq/rabbitmq.log" >&2 || true
            ((starts++ < 3)) || die "RabbitMQ did not start"
            try_rabbitmq
        fi
        sleep 0.2
    done
    die "RabbitMQ did not answer"
}

# Ends all that run below "$folder", those that a test left included.
stop_rabbitmqs() {
    local file
    while read -r file; do
        kill -KILL -- "-$(<"$file")" 2>/dev/null || true
    done < <(find "$folder" -name rabbitmq.pid 2>/dev/null)
}
