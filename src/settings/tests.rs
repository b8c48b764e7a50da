use super::load::{DEFAULTS, keys};
use super::*;

fn load(toml: &str, env: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::load_from(toml, env)
}

fn refused(toml: &str, env: &[(&str, &str)]) -> String {
    load(toml, env).expect_err(toml).to_string()
}

fn defaults() -> Settings {
    load("", &[]).unwrap()
}

/// Each key of the sample with the comment above it, as `("section.key", set, comment)`.
fn documented() -> Vec<(String, bool, String)> {
    let (mut section, mut comment, mut found) = (String::new(), String::new(), Vec::new());
    for line in DEFAULTS.lines() {
        let body = line.trim_start_matches("# ");
        let key = body.split_once(" = ").map(|(key, _)| key).filter(|key| {
            !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        });
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        } else if let Some(key) = key {
            found.push((format!("{section}.{key}"), !line.starts_with('#'), comment.clone()));
            comment.clear();
        } else if line.is_empty() {
            comment.clear();
        } else {
            comment.push_str(line.trim_start_matches('#'));
        }
    }
    found
}

#[test]
fn the_sample_explains_every_key_and_no_other() {
    let documented = documented();
    let mut names: Vec<_> = documented.iter().map(|(key, ..)| key.clone()).collect();
    let mut keys = keys(&defaults());
    names.sort();
    keys.sort();
    assert_eq!(names, keys);
    for (key, _, comment) in documented {
        assert!(comment.len() > 20, "{key} is not explained");
    }
}

#[test]
fn the_sample_sets_all_that_has_a_default() {
    let defaults = serde_json::to_value(defaults()).unwrap();
    for (key, set, _) in documented() {
        let (section, name) = key.split_once('.').unwrap();
        assert_eq!(set, !defaults[section][name].is_null(), "{key}");
    }
    assert!(DEFAULTS.contains(&format!("# executors = {DEFAULT_EXECUTORS}\n")));
}

#[test]
fn the_sample_names_the_limits_of_every_number() {
    let toml = "database = { url = 'postgres://db/desk', executors = 1 }\n\
                limits = { unauthenticated_per_address = 1 }";
    let postgres = load(toml, &[]).unwrap();
    let values = serde_json::to_value(&postgres).unwrap();
    let ranges = postgres.ranges();
    for (key, _, comment) in documented() {
        let (section, name) = key.split_once('.').unwrap();
        let range = ranges.iter().find(|(ranged, ..)| *ranged == key);
        assert_eq!(range.is_some(), values[section][name].is_number(), "{key}");
        if let Some((_, _, range)) = range {
            let allowed = format!("Allowed: {} to {}.", range.start(), range.end());
            assert!(comment.contains(&allowed), "{key}: {allowed}");
        }
    }
}

#[test]
fn the_production_file_needs_its_secrets_and_no_more() {
    let production = include_str!("../../config/production.toml");
    let settings = load(
        production,
        &[
            ("FRONTDESK__DATABASE__URL", "postgres://frontdesk:placeholder@db.internal/frontdesk"),
            ("FRONTDESK__AUTH__SECRET", "a placeholder of thirty-two bytes"),
        ],
    )
    .unwrap();
    settings.require_key().unwrap();
    assert_eq!(settings.warnings(), Vec::<String>::new());
    assert!(refused(production, &[]).contains("database.executors is for PostgreSQL"));
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_default() {
    let toml = "[limits]\nreplay = 7\nburst = 8";
    let settings = load(toml, &[("FRONTDESK__LIMITS__BURST", "9")]).unwrap();
    assert_eq!((settings.limits.replay, settings.limits.burst), (7, 9));
    assert_eq!(settings.limits.auth_seconds, 5);
}

#[test]
fn an_unknown_key_is_refused_by_name() {
    for (toml, name) in [
        ("[server]\nbnid = 'x:1'", "bnid"),
        ("[sevrer]\nbind = 'x:1'", "sevrer"),
        ("[limits]\nBurst = 3", "Burst"),
        ("bind = 'x:1'", "bind"),
    ] {
        assert!(refused(toml, &[]).contains(&format!("`{name}`")), "{}", refused(toml, &[]));
    }
}

#[test]
fn an_unknown_variable_is_refused_by_name_and_without_its_value() {
    for name in [
        "FRONTDESK__SERVER__BNID",
        "FRONTDESK__AUTH",
        "FRONTDESK__AUTH_SECRET",
        "FRONTDESK__",
        "FRONTDESK__AUTH__SECRET__X",
        "FRONTDESK__SERVER.BNID",
    ] {
        let error = refused("", &[(name, "hunter2")]);
        assert!(error.starts_with(name) && !error.contains("hunter2"), "{error}");
    }
    // Other people's variables are theirs.
    load("", &[("FRONTDESK_BIND", "x"), ("PATH", "/bin"), ("FRONTDESK", "x")]).unwrap();
}

#[test]
fn a_setting_with_the_wrong_underscores_is_refused_with_the_right_name() {
    for name in ["FRONTDESK_SERVER_BIND", "FRONTDESK_SERVER__BIND", "frontdesk_server_bind"] {
        let error = refused("", &[(name, "hunter2")]);
        assert!(error.starts_with(name) && error.contains("FRONTDESK__SERVER__BIND"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    let others = ["FRONTDESK_TEST_POSTGRES_URL", "FRONTDESK_BINARY", "SERVER_BIND"];
    load("", &others.map(|name| (name, "x"))).unwrap();
}

#[test]
fn a_secret_of_digits_stays_the_text_it_was() {
    let settings = load("", &[("FRONTDESK__AUTH__SECRET", "00123e4")]).unwrap();
    assert_eq!(settings.auth.secret.unwrap().expose(), "00123e4");
}

#[test]
fn a_list_is_an_array_or_a_text_with_commas() {
    let toml = "[auth]\naudience = ['a', 'b']";
    assert_eq!(load(toml, &[]).unwrap().auth.audience, ["a", "b"]);
    assert_eq!(load("[auth]\naudience = 'a'", &[]).unwrap().auth.audience, ["a"]);
    let env = [("FRONTDESK__AUTH__AUDIENCE", "a, c,")];
    assert_eq!(load(toml, &env).unwrap().auth.audience, ["a", "c"]);
    let env = [("FRONTDESK__SERVER__ALLOWED_ORIGINS", "")];
    assert!(load("", &env).unwrap().server.allowed_origins.is_empty());
}

#[test]
fn origins_are_compared_as_browsers_send_them() {
    let origins = "HTTPS://Bücher.example:443/,null";
    let settings = load("", &[("FRONTDESK__SERVER__ALLOWED_ORIGINS", origins)]).unwrap();
    assert_eq!(settings.server.allowed_origins, ["https://xn--bcher-kva.example", "null"]);
    assert!(settings.warnings().iter().any(|warning| warning.contains("null")));
}

#[test]
fn trusted_proxies_are_addresses_and_networks() {
    let from_file = load("server.trusted_proxies = ['10.0.0.0/8', '::1']", &[]).unwrap();
    let env = [("FRONTDESK__SERVER__TRUSTED_PROXIES", "10.0.0.0/8, ::1")];
    let from_environment = load("", &env).unwrap();
    let proxies = &from_file.server.trusted_proxies;
    assert_eq!(proxies, &from_environment.server.trusted_proxies);
    let shown = toml::to_string(&from_file).unwrap();
    assert!(shown.contains(r#"trusted_proxies = ["10.0.0.0/8", "::1/128"]"#), "{shown}");
    assert!(defaults().server.trusted_proxies.is_empty());
    let all = load("server.trusted_proxies = ['0.0.0.0/0']", &[]).unwrap();
    assert!(all.warnings()[0].contains("server.trusted_proxies"));
}

#[test]
fn one_address_may_hold_a_quarter_of_the_sockets_without_a_token() {
    let most = |toml: &str| load(toml, &[]).unwrap().limits.unauthenticated_per_address();
    assert_eq!(most(""), 250);
    assert_eq!(most("limits.unauthenticated = 3"), 1);
    assert_eq!(most("limits.unauthenticated_per_address = 7"), 7);
}

#[test]
fn a_value_that_makes_no_sense_is_refused_by_its_key() {
    for (variable, value, key) in [
        ("LIMITS__HEARTBEAT_MS", "0", "limits.heartbeat_ms"),
        ("LIMITS__HEARTBEAT_MS", "soon", "limits.heartbeat_ms"),
        ("LIMITS__BURST", "-1", "limits.burst"),
        ("LIMITS__BURST", "99999999999999999999", "limits.burst"),
        ("DATABASE__POOL_SIZE", "0", "database.pool_size"),
        ("DATABASE__BATCH_ROWS", "5000", "database.batch_rows"),
        ("DATABASE__EXECUTORS", "2", "database.executors"),
        ("DATABASE__CA_FILE", "/ca.pem", "database.ca_file"),
        ("DATABASE__URL", "mysql://db/desk", "database.url"),
        ("SERVER__BIND", "localhost", "server.bind"),
        ("SERVER__BIND", ":3000", "server.bind"),
        ("SERVER__BIND", "localhost:70000", "server.bind"),
        ("SERVER__ALLOWED_ORIGINS", "app.example.org", "server.allowed_origins"),
        ("SERVER__ALLOWED_ORIGINS", "https://app.example.org/chat", "server.allowed_origins"),
        ("SERVER__ALLOWED_ORIGINS", "https://*.example.org", "server.allowed_origins"),
        ("SERVER__ALLOWED_ORIGINS", r#"["https://app.example.org"]"#, "without brackets"),
        ("SERVER__TRUSTED_PROXIES", "10.0.0.0/33", "server.trusted_proxies"),
        ("SERVER__TRUSTED_PROXIES", "10.0.0.1,10.1.0.0/8", "the network is 10.0.0.0/8"),
        ("SERVER__TRUSTED_PROXIES", "proxy.internal", "`proxy.internal` is not an IP address"),
        ("SERVER__TRUSTED_PROXIES", "['10.0.0.1']", "without brackets"),
        ("LIMITS__UNAUTHENTICATED_PER_ADDRESS", "0", "limits.unauthenticated_per_address"),
        ("LIMITS__CONNECTS_PER_ADDRESS", "-1", "limits.connects_per_address"),
        ("AUTH__AUDIENCE", r#"["desk"]"#, "without brackets"),
        ("RABBITMQ__EVENT_QUEUES", "'a','b'", "without brackets"),
        ("AUTH__SECRET", "", "auth.secret"),
        ("AUTH__ALGORITHM", "none", "auth.algorithm"),
        ("AUTH__ALGORITHM", "RS256", "auth.public_key_file"),
        ("AUTH__PUBLIC_KEY_FILE", "/key.pem", "auth.algorithm"),
        ("AUTH__ISSUER", "frontdesk", "auth.issuer"),
        ("AUTH__ISSUER", "", "auth.issuer"),
        ("CLUSTER__POLL_MS", "1", "cluster.poll_ms"),
        ("RABBITMQ__DEAD_LETTER_QUEUE", "", "rabbitmq.dead_letter_queue"),
        ("RABBITMQ__DEAD_LETTER_QUEUE", "frontdesk", "rabbitmq.rpc_queue"),
        ("RABBITMQ__USERS_QUEUE", "frontdesk.dead", "rabbitmq.users_queue"),
        ("RABBITMQ__GATEWAY_QUEUE", "frontdesk.dead", "rabbitmq.gateway_queue"),
        ("RABBITMQ__EVENT_QUEUES", "a,frontdesk.dead", "rabbitmq.dead_letter_queue"),
        ("RABBITMQ__EVENT_QUEUES", "a,frontdesk", "rabbitmq.rpc_queue"),
    ] {
        let variable = format!("FRONTDESK__{variable}");
        let error = refused("", &[(&variable, value)]);
        assert!(error.contains(key), "{variable}={value}: {error}");
    }
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let error = refused("[limits]\nburst = 0\nreplay = 0", &[]);
    assert_eq!(error.lines().count(), 2, "{error}");
}

#[test]
fn a_stop_that_cannot_fit_its_time_is_refused() {
    let stop = |wait: u64, window: u64| {
        format!(
            "[server]\nshutdown_timeout = 8\ndrain_wait_ms = {wait}\ndrain_window_ms = {window}"
        )
    };
    load(&stop(5_500, 2_000), &[]).unwrap();
    for (wait, window) in [(5_501, 2_000), (0, 8_000), (3_600_000, 0)] {
        let error = refused(&stop(wait, window), &[]);
        for key in ["server.shutdown_timeout", "server.drain_wait_ms", "server.drain_window_ms"] {
            assert!(error.contains(key), "{error}");
        }
    }
}

#[test]
fn postgres_needs_a_key_and_sqlite_makes_one() {
    defaults().require_key().unwrap();
    let url = ("FRONTDESK__DATABASE__URL", "postgres://db/desk");
    let error = load("", &[url]).unwrap().require_key().unwrap_err().to_string();
    assert!(error.contains("FRONTDESK__AUTH__SECRET"), "{error}");
    load("", &[url, ("FRONTDESK__AUTH__SECRET", "x")]).unwrap().require_key().unwrap();
    let key = ("FRONTDESK__AUTH__PUBLIC_KEY_FILE", "/key.pem");
    load("", &[url, key, ("FRONTDESK__AUTH__ALGORITHM", "EdDSA")]).unwrap().require_key().unwrap();
}

#[test]
fn a_short_secret_is_warned_of() {
    let settings = load("", &[("FRONTDESK__AUTH__SECRET", "short")]).unwrap();
    assert!(settings.warnings()[0].contains("auth.secret"));
    assert!(defaults().warnings().is_empty());
}

#[test]
fn nothing_prints_a_secret() {
    let settings = load(
        "[auth]\nsecret = 'hunter2hunter2'",
        &[("FRONTDESK__DATABASE__URL", "postgres://kim:hunter2@db/desk?password=hunter2")],
    )
    .unwrap();
    let shown = format!("{settings:?}{}", toml::to_string(&settings).unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("***"));
}

#[test]
fn an_error_quotes_no_line_of_the_file() {
    for toml in [
        "[auth]\nsecret = 'hunter2",
        "[auth]\nsecret = hunter2",
        "[auth]\nsecret = 'hunter2'\nsecret = 'hunter2'",
        "[database]\nurl = 'postgres://kim:hunter2@db/desk\"",
        "[database]\nurl = 'mysql://kim:hunter2@db/desk'",
    ] {
        let error = refused(toml, &[]);
        assert!(!error.contains("hunter2"), "{error}");
        assert!(error.contains("line") || error.contains("database.url"), "{error}");
    }
}

#[test]
fn sqlite_has_one_executor_and_postgresql_as_many_as_are_set() {
    assert_eq!(defaults().database.executors(), 1);
    let url = ("FRONTDESK__DATABASE__URL", "postgres://db/desk");
    assert_eq!(load("", &[url]).unwrap().database.executors(), 1);
    assert_eq!(load("[database]\nexecutors = 5", &[url]).unwrap().database.executors(), 5);
}

#[test]
fn the_gateways_routes_come_from_a_file_or_as_json() {
    let toml = r#"
        [[rabbitmq.gateway]]
        event = "send"
        queue = "api"
        pattern = '{"cmd":"send"}'

        [[rabbitmq.gateway]]
        event = "quote"
        queue = "sales"
        pattern = "quote"
        kind = "request"
        role = "customer"
    "#;
    let json = r#"[{"event":"send","queue":"api","pattern":"{\"cmd\":\"send\"}"},
        {"event":"quote","queue":"sales","pattern":"quote","kind":"request","role":"customer"}]"#;
    let from_file = load(toml, &[]).unwrap().rabbitmq.gateway;
    let from_environment = load("", &[("FRONTDESK__RABBITMQ__GATEWAY", json)]).unwrap();
    assert_eq!(from_file, from_environment.rabbitmq.gateway);
    assert_eq!((from_file[0].kind, from_file[0].role), (RouteKind::Event, RouteRole::Any));
    assert_eq!((from_file[1].kind, from_file[1].role), (RouteKind::Request, RouteRole::Customer));
    assert!(
        load("", &[("FRONTDESK__RABBITMQ__GATEWAY", " ")]).unwrap().rabbitmq.gateway.is_empty()
    );
}

#[test]
fn what_could_not_work_with_a_broker_is_refused_and_quotes_no_password() {
    let route = |event: &str, queue: &str, pattern: &str| {
        format!(
            "rabbitmq.gateway = [{{ event = '{event}', queue = '{queue}', pattern = '{pattern}' }}]"
        )
    };
    for (toml, says) in [
        ("rabbitmq.url = 'http://desk:hidden@rabbit'".to_owned(), "rabbitmq.url must begin"),
        ("rabbitmq.source = ''".to_owned(), "rabbitmq.source must have 1"),
        ("rabbitmq.event_queues = ['']".to_owned(), "must have 1 to 200 bytes"),
        ("rabbitmq.event_queues = ['a', 'a']".to_owned(), "`a` is there twice"),
        (format!("rabbitmq.prefix = '{}'", "x".repeat(199)), "more than 200 bytes together"),
        (route("send_message", "api", "x"), "`send_message` is the protocol's own"),
        (route("send", "", "x"), "the queue of `send`"),
        (route("send", "frontdesk", "x"), "the server's own rabbitmq.rpc_queue"),
        (route("send", "frontdesk.dead", "x"), "the server's own rabbitmq.dead_letter_queue"),
        (
            format!("rabbitmq.prefix = 'a.'\n{}", route("send", "a.frontdesk", "x")),
            "the server's own rabbitmq.rpc_queue",
        ),
        (route("send", "api", ""), "the pattern of `send` is empty"),
        (route("send", "api", "{cmd:send}"), "is no JSON object"),
        (
            "auth.issuer = 'https://id'\nrabbitmq.users_queue = 'users'".to_owned(),
            "rabbitmq.users_issuer is ``",
        ),
        (
            "rabbitmq.url = 'amqp://rabbit'\nrabbitmq.ca_file = 'ca.pem'".to_owned(),
            "rabbitmq.ca_file is for amqps://",
        ),
    ] {
        let said = refused(&toml, &[]);
        assert!(said.contains(says), "{toml}: {said}");
        assert!(!said.contains("hidden"), "{said}");
    }
}

#[test]
fn other_names_come_from_a_file_or_as_json_and_keep_their_case() {
    let toml = r#"
        [[socketio.names_in]]
        event = "joinRoom"
        is = "enter_chat"
        fields = { chatIds = "roomNames" }
        bare = "chatIds"
        answer = "joinedRoom"

        [[socketio.names_out]]
        of = "receive_message"
        as = "newMessage"
        fields = { senderName = "author.nickname" }
        after = ["joinRoom"]
    "#;
    let names_in = r#"[{"event":"joinRoom","is":"enter_chat","fields":{"chatIds":"roomNames"},
        "bare":"chatIds","answer":"joinedRoom"}]"#;
    let names_out = r#"[{"of":"receive_message","as":"newMessage","after":["joinRoom"],
        "fields":{"senderName":"author.nickname"}}]"#;
    let from_file = load(toml, &[]).unwrap();
    let env = [
        ("FRONTDESK__SOCKETIO__NAMES_IN", names_in),
        ("FRONTDESK__SOCKETIO__NAMES_OUT", names_out),
    ];
    let from_environment = load("", &env).unwrap().socketio;
    assert_eq!(from_file.socketio.names_in, from_environment.names_in);
    assert_eq!(from_file.socketio.names_out, from_environment.names_out);
    assert_eq!(from_file.socketio.names_in[0].fields["chatIds"], "roomNames");
    assert_eq!(from_file.socketio.names_out[0].fields["senderName"], "author.nickname");
    let shown = toml::to_string(&from_file).unwrap();
    assert_eq!(load(&shown, &[]).unwrap().socketio.names_in, from_environment.names_in, "{shown}");
}

#[test]
fn socketio_is_on_and_is_off_without_a_namespace() {
    let socketio = defaults().socketio;
    assert!(socketio.is_on() && socketio.names_in.is_empty() && socketio.names_out.is_empty());
    assert_eq!(socketio.namespaces, ["/", "/chats", "/main"]);
    assert_eq!((&*socketio.path, socketio.errors), ("/socket.io/", Refusals::Both));
    let env = [("FRONTDESK__SOCKETIO__NAMESPACES", "")];
    assert!(!load("", &env).unwrap().socketio.is_on());
    let shorter = load("socketio = { path = '/live', errors = 'event' }", &[]).unwrap().socketio;
    assert_eq!((&*shorter.path, shorter.errors), ("/live/", Refusals::Event));
}

#[test]
fn a_name_that_could_not_work_is_refused() {
    let name_in = |rest: &str| format!("socketio.names_in = [{{ event = 'say', {rest} }}]");
    let name_out = |rest: &str| format!("socketio.names_out = [{{ as = 'said', {rest} }}]");
    let after = |count: usize| {
        let events: Vec<_> = (0..count).map(|number| format!("'e{number}'")).collect();
        name_out(&format!("of = 'welcome', after = [{}]", events.join(",")))
    };
    load(&after(64), &[]).unwrap();
    load(&name_out("of = 'typing', bare = 'a.b'"), &[]).unwrap();
    for (toml, says) in [
        ("socketio.path = ''".to_owned(), "socketio.path is ``"),
        ("socketio.path = '/'".to_owned(), "socketio.path is `/`"),
        ("socketio.path = 'socket.io'".to_owned(), "socketio.path is"),
        ("socketio.path = '/a//b/'".to_owned(), "socketio.path is"),
        ("socketio.path = '/{a}/'".to_owned(), "socketio.path is"),
        ("socketio.errors = 'ack'".to_owned(), "`ack` is neither both nor event"),
        ("socketio.namespaces = ['chats']".to_owned(), "has `chats`"),
        ("socketio.namespaces = ['/a,b']".to_owned(), "has `/a,b`"),
        ("socketio.namespaces = ['/a', '/a']".to_owned(), "`/a` is there twice"),
        ("socketio.ping_timeout_ms = 0".to_owned(), "socketio.ping_timeout_ms is 0"),
        ("socketio.upgrade_timeout_ms = 0".to_owned(), "socketio.upgrade_timeout_ms is 0"),
        ("socketio.recovery_ms = 3600001".to_owned(), "socketio.recovery_ms is 3600001"),
        ("socketio.recovery_sessions = 0".to_owned(), "socketio.recovery_sessions is 0"),
        (name_in("is = 'say'"), "`say` is `say`, which is none of authenticate, create_chat"),
        (name_in("is = 'receive_message'"), "`say` is `receive_message`"),
        (name_in("is = 'ping', to = 'x'"), "`to`"),
        (name_in("is = 'ping', answer = ''"), "an event has 1 to 64"),
        (name_in("is = 'ping', answer = 'disconnect'"), "`disconnect` is Socket.IO's own"),
        (name_in("is = 'ping', answer_fields = { a = 'b' }"), "answer_fields, but no answer"),
        (name_in("is = 'ping', bare = ''"), "a field of `say`"),
        (name_in("is = 'ping', fields = { a = '' }"), "a field of `say`"),
        (name_in("is = 'ping', fields = { a = 'c', b = 'c' }"), "the field `c` of `say`"),
        (
            "socketio.names_in = [{ event = 'a', is = 'ping' }, { event = 'a', is = 'ping' }]"
                .to_owned(),
            "`a` is there twice",
        ),
        (
            format!(
                "{}\nrabbitmq.gateway = [{{ event = 'say', queue = 'api', pattern = 'x' }}]",
                name_in("is = 'ping'")
            ),
            "`say` is in rabbitmq.gateway, too",
        ),
        (name_out("of = 'said'"), "`said` is no event of the server"),
        (name_out("of = 'send_message'"), "`send_message` is no event of the server"),
        (name_out("of = 'ack'"), "`ack` is no event of the server"),
        (name_out("of = 'typing', bare = 'a', fields = { b = 'c' }"), "has bare and fields"),
        (name_out("of = 'typing', bare = 'a..b'"), "a field of `said`"),
        (name_out("of = 'typing', after = ['']"), "an event has 1 to 64"),
        ("socketio.names_out = [{ of = 'typing', as = 'connect' }]".to_owned(), "`connect` is"),
        (after(65), "names 65 events in all; 64 are allowed"),
    ] {
        let said = refused(&toml, &[]);
        assert!(said.contains(says), "{toml}: {said}");
    }
}
