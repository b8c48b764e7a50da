//! HTTP beside the sessions: the same chats, the same rules, the same codes.

use std::time::Duration;

use frontdesk::domain::Timings;
use reqwest::Method;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::retiring::{quick, rooms};
use crate::support::tokens::now;
use crate::support::{
    Node, TestApp, admin, assert_keys, customer, eventually, hears_others, json, scenarios,
};

scenarios! {
    a_request_needs_a_good_token,
    what_is_posted_is_heard_in_the_room,
    a_chat_is_made_or_found,
    a_read_mark_is_put,
    a_post_follows_a_room_that_has_retired
        ["server.workers" = 1, "limits.messages_per_second" = 1_000, "limits.burst" = 1_000]
        on one node "it counts the rooms of a node",
    a_post_reaches_a_chat_whose_room_has_ended ["server.workers" = 1],
    who_am_i,
    users_are_for_admins,
    a_user_may_be_known_before_the_first_token,
    an_unknown_path_is_a_problem,
    a_health_check_may_use_head,
    a_compressed_body_is_refused_by_its_header,
    a_cursor_belongs_to_its_bounds,
    a_body_that_is_too_large_is_refused ["limits.body_bytes" = 20_000],
    a_body_that_is_late_is_refused ["limits.heartbeat_ms" = 100],
    a_connection_without_a_request_is_kept_for_the_configured_time
        ["server.keep_alive_seconds" = 1],
    a_stop_waits_for_no_connection_without_a_request ["server.shutdown_timeout" = 3600],
    a_stop_waits_for_no_request_that_is_still_arriving ["server.shutdown_timeout" = 3600],
    another_origin_may_ask_where_it_is_allowed
        ["server.allowed_origins" = "HTTPS://App.Example:443/"],
    what_a_page_may_not_ask_for_is_a_problem ["server.allowed_origins" = "https://app.example"],
    a_hang_up_signal_stops_nothing on one node "its server is a process of its own",
    it_is_alive_and_ready_and_counted,
}

async fn a_request_needs_a_good_token(app: TestApp) {
    let expired = customer("kim").token_with(&json!({"exp": now() - 60}));
    for path in ["/chats", "/chats/1", "/chats/1/messages", "/users/me", "/users"] {
        let get = || app.request(Method::GET, path);
        app.send(get()).await.problem(401, "unauthenticated");
        app.send(get().bearer_auth("nonsense")).await.problem(401, "unauthenticated");
        app.send(get().bearer_auth(&expired)).await.problem(401, "token_expired");
        let in_url = format!("{path}?token={}", customer("kim").token());
        app.send(app.request(Method::GET, &in_url)).await.problem(401, "unauthenticated");
    }
    let post = app.request(Method::POST, "/chats/1/messages").json(&json!({"message": "hello"}));
    app.send(post).await.problem(401, "unauthenticated");
}

async fn what_is_posted_is_heard_in_the_room(app: TestApp) {
    let (person, agent) = (customer("kim"), admin("ada"));
    let mut kim = app.connect(&person).await;
    let chat = kim.chat();
    let path = format!("/chats/{chat}/messages");
    let ack = app.post(&agent, &path, json!({"message": "hello"})).await.is(201);
    assert_keys(&ack, &["id", "chatId", "seq", "clientId", "createdAt", "duplicate"]);
    assert_eq!((&ack["seq"], &ack["duplicate"]), (&json!(1), &json!(false)));
    assert_eq!(kim.hears("hello").await["id"], ack["id"]);
    // Also by who is in the room: each of the own sessions hears it.
    app.post(&person, &path, json!({"message": "from elsewhere"})).await.is(201);
    kim.hears("from elsewhere").await;
    kim.say(chat, "and from here").await;
    assert_eq!(kim.run(chat), [1, 2, 3]);
}

async fn a_chat_is_made_or_found(app: TestApp) {
    let (kim, ada) = (customer("kim"), admin("ada"));
    // Whose chat it is need not have been there before.
    let made = app.post(&kim, "/chats", json!({})).await;
    assert!([200, 201].contains(&made.status), "{}", made.text);
    let found = app.post(&kim, "/chats", json!({})).await.is(200);
    assert_eq!((&found["id"], &found["kind"]), (&made.body["id"], &json!("support")));
    let mut client = app.connect(&kim).await;
    assert_eq!(client.chat(), found["id"]);

    let group = json!({"userIds": [client.user_id()], "title": "Returns"});
    app.post(&kim, "/chats", group.clone()).await.problem(403, "forbidden");
    let one = app.post(&ada, "/chats", group.clone()).await.is(201);
    assert_eq!((&one["kind"], &one["title"]), (&json!("group"), &json!("Returns")));
    assert_eq!(client.expect("chat_created").await["id"], one["id"]);
    let two = app.post(&ada, "/chats", group).await.is(201);
    assert_ne!(one["id"], two["id"], "groups of the same people are different groups");
    let chat = one["id"].as_i64().expect("an id");
    app.post(&ada, &format!("/chats/{chat}/messages"), json!({"message": "hello"})).await.is(201);
    client.hears("hello").await;
}

async fn a_read_mark_is_put(app: TestApp) {
    let (person, agent) = (customer("kim"), admin("ada"));
    let mut kim = app.connect(&person).await;
    let chat = kim.chat();
    for text in ["one", "two", "three"] {
        kim.say(chat, text).await;
    }
    let path = format!("/chats/{chat}/read");
    let put = async |seq: i64| app.put(&agent, &path, json!({"seq": seq})).await.is(200);
    assert_eq!(put(2).await, json!({"readSeq": 2, "unread": 1}));
    assert_eq!(put(1).await, json!({"readSeq": 2, "unread": 1}));
    assert_eq!(put(99).await, json!({"readSeq": 3, "unread": 0}));
    app.put(&agent, "/chats/999999/read", json!({"seq": 1})).await.problem(404, "chat_not_found");
}

/// The chat of a customer who is not there, and its paths for posts and for read marks.
async fn quiet_chat(app: &TestApp) -> (String, String) {
    let chat = app.post(&customer("kim"), "/chats", json!({})).await.body["id"].clone();
    (format!("/chats/{chat}/messages"), format!("/chats/{chat}/read"))
}

async fn a_post_follows_a_room_that_has_retired(app: TestApp) {
    // A room is retired whenever it is empty, and stays for the whole scenario.
    let stay = Duration::from_secs(120);
    let (drain_grace, drain_deadline) = (stay, stay);
    let timings = Timings { room_idle: Duration::ZERO, drain_grace, drain_deadline, ..quick() };
    let (app, agent) = (app.with_timings(timings).await, admin("ada"));
    let (posts, read) = quiet_chat(&app).await;
    let seqs = eventually("a third room", || async {
        let post = app.post(&agent, &posts, json!({"message": "hello"})).await.is(201);
        (app.metric("frontdesk_rooms").await >= 3.0).then(|| post["seq"].clone())
    })
    .await;
    let mark = app.put(&agent, &read, json!({"seq": seqs})).await.is(200);
    assert_eq!(mark, json!({"readSeq": seqs, "unread": 0}));
}

async fn a_post_reaches_a_chat_whose_room_has_ended(app: TestApp) {
    let (app, agent) = (app.with_timings(quick()).await, admin("ada"));
    let (posts, read) = quiet_chat(&app).await;
    for seq in 1..=3 {
        let post = app.post(&agent, &posts, json!({"message": "hello"})).await.is(201);
        assert_eq!(post["seq"], seq);
        rooms(&app, 0).await;
        let mark = app.put(&agent, &read, json!({"seq": seq})).await.is(200);
        assert_eq!(mark["readSeq"], seq);
        rooms(&app, 0).await;
    }
}

async fn who_am_i(app: TestApp) {
    let kim = customer("kim");
    let me = app.get(&kim, "/users/me").await.is(200);
    assert_eq!(
        (&me["role"], &me["nickname"], &me["email"]),
        (&json!("customer"), &json!("Kim"), &json!("kim@example.org"))
    );
    assert_eq!(me["id"], app.connect(&kim).await.user_id());
    assert_eq!(app.get(&admin("ada"), "/users/me").await.is(200)["role"], "admin");
}

async fn users_are_for_admins(app: TestApp) {
    let kim = customer("kim");
    let me = app.connect(&kim).await.user_id();
    app.get(&kim, "/users").await.problem(403, "forbidden");
    app.get(&kim, "/users?q=k").await.problem(403, "forbidden");
    app.post(&kim, "/users", json!({"subject": "lee"})).await.problem(403, "forbidden");
    for user in [me, 999_999] {
        app.post(&kim, &format!("/users/{user}/block"), json!({})).await.problem(403, "forbidden");
        app.post(&kim, &format!("/users/{user}/unblock"), json!({}))
            .await
            .problem(403, "forbidden");
    }
    let ada = admin("ada");
    app.post(&ada, "/users/999999/block", json!({})).await.problem(404, "user_not_found");
    assert_eq!(app.list(&ada, "/users?subject=lee").await.len(), 0);
}

async fn a_user_may_be_known_before_the_first_token(app: TestApp) {
    let ada = admin("ada");
    let made = json!({"subject": "kim", "nickname": "Kimberly", "email": "kim@elsewhere.example"});
    let user = app.post(&ada, "/users", made.clone()).await;
    let user = if user.status == 200 { user.is(200) } else { user.is(201) };
    assert_eq!((&user["subject"], &user["nickname"]), (&json!("kim"), &json!("Kimberly")));
    // A group can be made with them, and waits for them.
    let group = app.post(&ada, "/chats", json!({"userIds": [user["id"]]})).await.is(201);
    let kim = app.connect(&customer("kim")).await;
    assert_eq!(kim.user_id(), user["id"], "the token's subject is that user");
    let group = group["id"].as_i64().expect("an id");
    assert!(kim.welcomed_to(group).is_some());
}

async fn an_unknown_path_is_a_problem(app: TestApp) {
    let ada = admin("ada");
    for path in ["/nothing", "/chats/1/nothing", "/users/me/nothing", "//", "/chats/"] {
        let reply = app.get(&ada, path).await;
        assert_eq!(reply.status, 404, "{path}: {}", reply.text);
        assert_eq!(reply.header("content-type"), "application/problem+json", "{path}");
        assert_eq!(reply.body["status"], 404, "{path}");
    }
    let wrong = [
        (Method::DELETE, "/chats"),
        (Method::PUT, "/chats/1"),
        (Method::PATCH, "/chats/1/messages"),
        (Method::POST, "/users/me"),
        (Method::POST, "/healthz"),
        (Method::POST, "/ws"),
    ];
    for (method, path) in wrong {
        let reply = app.send(app.request_of(&ada, method.clone(), path)).await;
        assert_eq!(reply.status, 405, "{method} {path}: {}", reply.text);
        assert_eq!(reply.header("content-type"), "application/problem+json", "{method} {path}");
        assert!(!reply.header("allow").is_empty(), "{method} {path}: which methods then?");
    }
    // A plain request where a session was expected.
    let reply = app.get(&ada, "/ws").await;
    assert!((400..500).contains(&reply.status), "{}", reply.text);
    assert_eq!(reply.header("content-type"), "application/problem+json");
}

async fn a_health_check_may_use_head(app: TestApp) {
    hears_others(&app, true).await;
    for path in ["/healthz", "/readyz", "/chats", "/users/me"] {
        let ask = async |method| app.send(app.request_of(&admin("ada"), method, path)).await;
        let (head, get) = (ask(Method::HEAD).await, ask(Method::GET).await);
        assert_eq!((head.status, head.text.as_str()), (200, ""), "{path}");
        for header in ["content-type", "content-length"] {
            assert_eq!(head.header(header), get.header(header), "{path}: {header}");
        }
    }
    assert_eq!(app.send(app.request(Method::HEAD, "/chats")).await.status, 401);
    let socket = app.send(app.request(Method::HEAD, "/ws")).await;
    assert_eq!((socket.status, socket.header("allow")), (405, "GET"));
}

async fn a_compressed_body_is_refused_by_its_header(app: TestApp) {
    let post = |encoding: &str| {
        let request = app.request_of(&customer("kim"), Method::POST, "/chats");
        request.header("content-encoding", encoding).body("{}")
    };
    let problem = app.send(post("gzip")).await.problem(415, "bad_request");
    assert_eq!(problem["errors"][0]["path"], "Content-Encoding");
    app.send(post("identity")).await.is(200);
}

async fn a_cursor_belongs_to_its_bounds(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    let chat = kim.chat();
    for text in ["one", "two", "three", "four"] {
        kim.say(chat, text).await;
    }
    let (ada, path) = (admin("ada"), format!("/chats/{chat}/messages?limit=2"));
    let first = app.get(&ada, &format!("{path}&afterSeq=1")).await.is(200);
    let next = first["next"].as_str().expect("there is more");
    assert_eq!(app.get(&ada, next).await.is(200)["count"], 1);
    let after = first["cursor"]["after"].as_str().expect("there is more");
    for other in ["", "&afterSeq=0", "&afterSeq=1&beforeSeq=9"] {
        let path = format!("{path}&after={after}{other}");
        app.get(&ada, &path).await.problem(400, "bad_request");
    }
}

async fn a_body_that_is_too_large_is_refused(app: TestApp) {
    let chat = app.connect(&customer("kim")).await.chat();
    let path = format!("/chats/{chat}/messages");
    let large = json!({"message": "hello", "unknown": "x".repeat(30_000)});
    app.post(&customer("kim"), &path, large).await.problem(413, "too_large");
    app.post(&customer("kim"), &path, json!({"message": "x".repeat(8001)}))
        .await
        .problem(413, "too_large");
    app.post(&customer("kim"), &path, json!({"message": "x".repeat(8000)})).await.is(201);
}

/// Writes what may be the beginning of a request, and nothing more.
async fn begin(node: &Node, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(node.address()).await.expect("the server listens");
    stream.write_all(request.as_bytes()).await.expect("it is read");
    stream
}

/// A POST of whose body only the first byte comes.
fn unfinished() -> String {
    let token = customer("kim").token();
    format!(
        "POST /chats HTTP/1.1\r\nHost: desk\r\nAuthorization: Bearer {token}\r\n\
         Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{{"
    )
}

async fn a_body_that_is_late_is_refused(app: TestApp) {
    let mut stream = begin(&app, &unfinished()).await;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer, and the end of the connection");
    assert!(answer.contains("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("application/problem+json") && answer.contains("bad_request"));
}

/// A connection on which one request was answered.
async fn used(node: &Node) -> BufReader<TcpStream> {
    let mut stream = BufReader::new(begin(node, "").await);
    ask(&mut stream).await;
    stream
}

/// One more request on a connection.
async fn ask(stream: &mut BufReader<TcpStream>) {
    stream.write_all(b"HEAD /healthz HTTP/1.1\r\nHost: desk\r\n\r\n").await.expect("it is read");
    let mut line = String::new();
    stream.read_line(&mut line).await.expect("an answer");
    assert_eq!(line, "HTTP/1.1 200 OK\r\n");
    while line != "\r\n" {
        line.clear();
        stream.read_line(&mut line).await.expect("the rest of it");
    }
}

/// The connection ends, and nothing is said on it before.
async fn ends(mut stream: BufReader<TcpStream>) {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.expect("the end of the connection");
    assert_eq!(rest, b"");
}

async fn a_connection_without_a_request_is_kept_for_the_configured_time(app: TestApp) {
    let patient = app.another_process_with(&[("server.keep_alive_seconds", "3600")]).await;
    let mut kept = used(&patient).await;
    // Two, one after the other: with one time for all, the one that is kept would end before the second.
    for _ in 0..2 {
        ends(used(&app).await).await;
    }
    ask(&mut kept).await;
}

async fn a_stop_waits_for_no_connection_without_a_request(app: TestApp) {
    let mut node = app.another_node().await;
    let unused = used(&node).await;
    tokio::task::spawn_blocking(move || node.stop()).await.expect("it stops");
    ends(unused).await;
}

async fn a_stop_waits_for_no_request_that_is_still_arriving(app: TestApp) {
    let mut node = app.another_node().await;
    let _head = begin(&node, "GET /chats HTTP/1.1\r\nHost: desk\r\n").await;
    let mut body = begin(&node, &unfinished()).await;
    // The head was read, and the body is waited for.
    let mut answer = [0; 12];
    body.read_exact(&mut answer).await.expect("the server wants the body");
    assert_eq!(&answer, b"HTTP/1.1 100");
    tokio::task::spawn_blocking(move || node.stop()).await.expect("it stops");
    let mut rest = String::new();
    body.read_to_string(&mut rest).await.expect("an answer, and the end of the connection");
    assert!(rest.contains("HTTP/1.1 503 ") && rest.contains("unavailable"), "{rest}");
}

async fn a_hang_up_signal_stops_nothing(app: TestApp) {
    let process = app.another_process().await;
    process.signal("HUP");
    eventually("the signal is taken", || async {
        process.log().contains("SIGHUP is ignored").then_some(())
    })
    .await;
    assert_eq!(process.get(&customer("kim"), "/users/me").await.status, 200);
}

async fn what_a_page_may_not_ask_for_is_a_problem(app: TestApp) {
    let preflight = |origin: &str, method: &str, headers: &str| {
        let request = app.request(Method::OPTIONS, "/chats").header("origin", origin);
        let request = request.header("access-control-request-method", method);
        app.send(request.header("access-control-request-headers", headers))
    };
    let allowed = "https://app.example";
    for (origin, method, headers) in [
        ("https://evil.example", "POST", "authorization"),
        ("null", "POST", "authorization"),
        (allowed, "PATCH", "authorization"),
        (allowed, "POST", "x-unheard-of"),
    ] {
        preflight(origin, method, headers).await.problem(403, "forbidden");
    }
    assert_eq!(app.metric("frontdesk_origins_refused_total").await, 2.0);
    preflight(allowed, "POST", "authorization").await.is(200);
}

async fn another_origin_may_ask_where_it_is_allowed(app: TestApp) {
    let preflight = async |origin: &str| {
        let request = app
            .request(Method::OPTIONS, "/chats/1/messages")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header(
                "access-control-request-headers",
                "authorization, content-type, idempotency-key",
            );
        app.send(request).await
    };
    let allowed = preflight("https://app.example").await;
    assert!([200, 204].contains(&allowed.status), "{} {}", allowed.status, allowed.text);
    assert_eq!(allowed.header("access-control-allow-origin"), "https://app.example");
    assert!(allowed.header("access-control-allow-methods").contains("POST"));
    let headers = allowed.header("access-control-allow-headers").to_lowercase();
    for header in ["authorization", "content-type", "idempotency-key"] {
        assert!(headers.contains(header), "{header} is not in {headers}");
    }
    let refused = preflight("https://evil.example").await;
    assert_eq!(refused.header("access-control-allow-origin"), "");

    let ask = |origin: &str| {
        app.request_of(&customer("kim"), Method::GET, "/chats").header("origin", origin)
    };
    let answer = app.send(ask("https://app.example")).await;
    assert_eq!(answer.header("access-control-allow-origin"), "https://app.example");
    answer.is(200);
    // An error is for the page to read too.
    let request = app.request(Method::GET, "/chats").header("origin", "https://app.example");
    let problem = app.send(request).await;
    assert_eq!(problem.header("access-control-allow-origin"), "https://app.example");
    problem.problem(401, "unauthenticated");
    let answer = app.send(ask("https://evil.example")).await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
}

async fn it_is_alive_and_ready_and_counted(app: TestApp) {
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(app.try_get(path).await.expect("it listens").status, 200, "{path}");
    }
    let metrics = app.try_get("/metrics").await.expect("it listens").text;
    assert!(metrics.lines().any(|line| line.starts_with("# TYPE frontdesk_")), "{metrics}");
    assert!(app.panics().await < 1.0);
}
