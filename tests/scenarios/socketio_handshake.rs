//! Engine.IO's handshake over both transports, and its refusals.

use crate::support::raw::{PING, frame};
use crate::support::socketio::{Line, UPGRADE};
use crate::support::{
    TestApp, Value, Via, assert_keys, customer, eventually, json, postgres_scenarios, scenarios,
};

scenarios! {
    a_handshake_of_polling_names_the_session_and_its_limits,
    a_handshake_of_a_websocket_offers_no_upgrade,
    a_handshake_names_the_settings_of_its_node
        [
            "limits.heartbeat_ms" = 4321,
            "socketio.ping_timeout_ms" = 1234,
            "limits.frame_bytes" = 4096
        ],
    a_session_id_names_its_node_and_cannot_be_guessed,
    a_session_id_begins_with_the_name_that_its_node_was_given ["cluster.node_name" = "n1"]
        on one node "nodes have names of their own",
    the_last_slash_of_the_path_may_be_missing,
    another_path_may_be_set ["socketio.path" = "/support/io/"],
    without_namespaces_there_is_no_socketio ["socketio.namespaces" = ""],
    an_unknown_transport_is_refused,
    an_unknown_session_is_refused,
    a_session_begins_with_a_get,
    another_method_is_refused,
    a_websocket_needs_an_upgrade,
    a_request_of_the_wrong_transport_is_refused_and_ends_nothing,
    another_version_of_the_protocol_is_refused_by_its_name,
    a_query_may_have_anything_else_in_it,
    the_script_of_the_client_is_elsewhere,
    refusals_are_counted_by_their_codes on one node "each node counts its own",
    connections_are_counted_by_their_transports on one node "each node counts its own",
}

postgres_scenarios! {
    a_session_is_known_to_its_node_alone,
}

const FIELDS: [&str; 5] = ["sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"];

async fn a_handshake_of_polling_names_the_session_and_its_limits(app: TestApp) {
    let answer = app.socketio().poll().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type").to_lowercase(), "text/plain; charset=utf-8");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("set-cookie"), "", "nothing rides on a cookie");
    let open: Value = serde_json::from_str(answer.text.strip_prefix('0').expect("an open packet"))
        .expect("one packet, and its JSON");
    assert_keys(&open, &FIELDS);
    assert!(open["sid"].is_string(), "{open}");
    assert_eq!(open["upgrades"], json!(["websocket"]));
    assert_eq!(
        [&open["pingInterval"], &open["pingTimeout"], &open["maxPayload"]],
        [25_000, 20_000, 131_072]
    );
}

async fn a_handshake_of_a_websocket_offers_no_upgrade(app: TestApp) {
    let client = app.io_open(Via::WebSocket).await;
    assert_keys(&client.open, &FIELDS);
    assert_eq!(client.open["upgrades"], json!([]));
    assert_eq!(client.open["pingInterval"], 25_000);
}

async fn a_handshake_names_the_settings_of_its_node(app: TestApp) {
    for via in [Via::Polling, Via::WebSocket] {
        let open = app.io_open(via).await.open;
        assert_eq!(
            [&open["pingInterval"], &open["pingTimeout"], &open["maxPayload"]],
            [4321, 1234, 4096],
            "{via:?}"
        );
    }
}

async fn a_session_id_names_its_node_and_cannot_be_guessed(app: TestApp) {
    let mut known = Vec::new();
    for via in Via::ALL {
        let client = app.io(via, "/chats", &customer("kim")).await;
        let (node, secret) = client.sid().split_once('.').expect("a node, and its session");
        assert!(client.session_id().starts_with(node), "as the session's id names it");
        assert_eq!(node.len(), 12);
        let is_safe = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        // 128 bits in base64.
        assert!(secret.len() >= 22 && secret.chars().all(is_safe), "{secret}");
        assert!(!client.session_id().contains(secret), "the socket's id is no secret");
        known.push(secret.to_owned());
    }
    known.sort_unstable();
    known.dedup();
    assert_eq!(known.len(), Via::ALL.len());
}

async fn a_session_id_begins_with_the_name_that_its_node_was_given(app: TestApp) {
    for via in Via::ALL {
        let client = app.io(via, "/", &customer("kim")).await;
        assert!(client.sid().starts_with("n1.") && client.sid().len() >= 25, "{}", client.sid());
    }
}

async fn a_session_is_known_to_its_node_alone(app: TestApp) {
    let other = app.another_node().await;
    let mut kim = app.io(Via::Polling, "/", &customer("kim")).await;
    for transport in ["polling", "websocket"] {
        let query = format!("EIO=4&transport={transport}&sid={}", kim.sid());
        let headers = if transport == "polling" { "" } else { UPGRADE };
        other.io_ask("GET", &query, headers).await.is_refusal(400, 1);
    }
    // Its messages are everybody's.
    let chat = kim.chat();
    let mut there = other.io(Via::Polling, "/", &customer("kim")).await;
    kim.say(chat, "from here").await;
    there.hears("from here").await;
    there.say(chat, "from there").await;
    kim.hears("from there").await;
}

async fn the_last_slash_of_the_path_may_be_missing(app: TestApp) {
    for path in ["/socket.io", "/socket.io/"] {
        for via in Via::ALL {
            let mut client = app.socketio().path(path).open(via).await;
            client.welcomed("/", json!({"token": customer("kim").token()})).await;
        }
    }
}

async fn another_path_may_be_set(app: TestApp) {
    for path in ["/support/io", "/support/io/"] {
        for via in Via::ALL {
            let mut client = app.socketio().path(path).open(via).await;
            client.welcomed("/chats", json!({"token": customer("kim").token()})).await;
        }
    }
    assert_eq!(app.socketio().poll().await.status, 404);
}

async fn without_namespaces_there_is_no_socketio(app: TestApp) {
    assert_eq!(app.socketio().poll().await.status, 404);
    assert_eq!(app.socketio().no_socket().await.status, 404);
    app.connect(&customer("kim")).await;
}

async fn an_unknown_transport_is_refused(app: TestApp) {
    for query in ["EIO=4", "EIO=4&transport=abc", "EIO=4&transport=", "EIO=4&transport=Polling"] {
        app.io_ask("GET", query, "").await.is_refusal(400, 0);
        app.io_ask("GET", query, UPGRADE).await.is_refusal(400, 0);
    }
    let answer = app.io_ask("GET", "EIO=4&transport=abc", "").await;
    assert_eq!(answer.json(), json!({"code": 0, "message": "Transport unknown"}));
}

async fn an_unknown_session_is_refused(app: TestApp) {
    for sid in ["abc", "abc.def", "0123456789ab.AAAAAAAAAAAAAAAAAAAAAA", "%00"] {
        let polling = format!("EIO=4&transport=polling&sid={sid}");
        let socket = format!("EIO=4&transport=websocket&sid={sid}");
        app.io_ask("GET", &polling, "").await.is_refusal(400, 1);
        app.io_ask("POST", &polling, "Content-Length: 0\r\n").await.is_refusal(400, 1);
        app.io_ask("GET", &socket, UPGRADE).await.is_refusal(400, 1);
    }
    let answer = app.io_ask("GET", "EIO=4&transport=polling&sid=abc", "").await;
    assert_eq!(answer.json(), json!({"code": 1, "message": "Session ID unknown"}));
}

async fn a_session_begins_with_a_get(app: TestApp) {
    let target = "/socket.io/?EIO=4&transport=polling";
    let answer = Line::to(app.address()).await.ask("POST", target, "", Some("40")).await;
    answer.is_refusal(400, 2);
    assert_eq!(answer.json()["message"], "Bad handshake method");
}

async fn another_method_is_refused(app: TestApp) {
    let polling = app.socketio().polling().await;
    for method in ["PUT", "DELETE", "PATCH"] {
        app.io_ask(method, "EIO=4&transport=polling", "Content-Length: 0\r\n")
            .await
            .is_refusal(400, 2);
        // Whatever it is, it does not reach a session.
        let mut line = polling.another().await;
        line.ask(method, &polling.target("polling"), "", Some("41")).await.is_refusal(400, 2);
    }
}

async fn a_websocket_needs_an_upgrade(app: TestApp) {
    let answer = app.io_ask("GET", "EIO=4&transport=websocket", "").await;
    answer.is_refusal(400, 3);
    assert_eq!(answer.json()["message"], "Bad request");
}

async fn a_request_of_the_wrong_transport_is_refused_and_ends_nothing(app: TestApp) {
    // A session of a WebSocket is not polled, and one that is polled asks for an upgrade by one.
    let mut kim = app.io_open(Via::WebSocket).await;
    let mut line = Line::to(kim.address()).await;
    let target =
        |transport, sid: &str| format!("/socket.io/?EIO=4&transport={transport}&sid={sid}");
    let polling = target("polling", kim.sid());
    for (method, body) in [("GET", None), ("POST", Some("41"))] {
        line.ask(method, &polling, "", body).await.is_refusal(400, 3);
    }
    kim.welcomed("/", json!({"token": customer("kim").token()})).await;

    let mut lee = app.io_open(Via::Polling).await;
    let without = target("websocket", lee.sid());
    let mut line = Line::to(lee.address()).await;
    line.ask("GET", &without, "", None).await.is_refusal(400, 3);
    lee.welcomed("/", json!({"token": customer("lee").token()})).await;
}

async fn another_version_of_the_protocol_is_refused_by_its_name(app: TestApp) {
    for version in ["", "EIO=3&", "EIO=abc&", "EIO=&", "EIO=44&", "eio=4&"] {
        let query = format!("{version}transport=polling");
        let answer = app.io_ask("GET", &query, "").await;
        answer.is_refusal(400, 5);
        assert_eq!(answer.json()["message"], "Unsupported protocol version");
        let query = format!("{version}transport=websocket");
        app.io_ask("GET", &query, UPGRADE).await.is_refusal(400, 5);
    }
}

async fn a_query_may_have_anything_else_in_it(app: TestApp) {
    // What is the client's own, before and behind, and what keeps caches away.
    let query = "token=a%20b&v=2&EIO=4&transport=polling&t=u1qo5eez&b64=1&%C3%A9=%00&x";
    assert_eq!(app.io_ask("GET", query, "").await.status, 200);
}

async fn the_script_of_the_client_is_elsewhere(app: TestApp) {
    let answer = app.try_get("/socket.io/socket.io.js").await.expect("an answer");
    assert_eq!(answer.status, 404);
    assert!(answer.text.contains("socket.io-client"), "where it comes from: {}", answer.text);
}

async fn refusals_are_counted_by_their_codes(app: TestApp) {
    app.io_ask("GET", "EIO=4&transport=abc", "").await.is_refusal(400, 0);
    app.io_ask("GET", "EIO=3&transport=polling", "").await.is_refusal(400, 5);
    app.io_ask("GET", "EIO=3&transport=polling", "").await.is_refusal(400, 5);
    for (code, count) in [(0, 1.0), (5, 2.0)] {
        let refused = format!("frontdesk_socketio_refused_total{{code=\"{code}\"}}");
        assert_eq!(app.metric(&refused).await, count, "{refused}");
    }
}

/// Waits until so many connections are counted.
async fn counted(app: &TestApp, polling: f64, websocket: f64) {
    eventually(&format!("{polling} poll, and {websocket} have a websocket"), || async {
        let of = async |transport| {
            let name = format!("frontdesk_socketio_connections{{transport=\"{transport}\"}}");
            app.try_metric(&name).await.unwrap_or(0.0)
        };
        ((of("polling").await, of("websocket").await) == (polling, websocket)).then_some(())
    })
    .await;
}

async fn connections_are_counted_by_their_transports(app: TestApp) {
    let mut kim = app.io(Via::Polling, "/", &customer("kim")).await;
    let mut lee = app.io(Via::WebSocket, "/", &customer("lee")).await;
    counted(&app, 1.0, 1.0).await;
    kim.upgrade().await;
    counted(&app, 0.0, 2.0).await;
    assert_eq!(app.metric("frontdesk_socketio_upgrades_total").await, 1.0);
    app.has_sessions(2).await;
    // The protocol has pings of its own.
    lee.socket().send(frame(PING, "x")).await;
    lee.send("1").await;
    drop(kim);
    counted(&app, 0.0, 0.0).await;
    app.has_sessions(0).await;
}
