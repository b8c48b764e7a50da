//! Pages in browsers: whose may connect, and what they can read of the answers.

use crate::support::socketio::{Answer, Line, UPGRADE};
use crate::support::{Node, TestApp, Via, customer, json, scenarios};

scenarios! {
    a_foreign_origin_is_refused_before_a_session_exists
        ["server.allowed_origins" = "https://app.example,https://b.example"],
    no_origin_is_allowed_by_itself,
    a_page_of_a_listed_origin_uses_every_transport
        ["server.allowed_origins" = "https://app.example,https://b.example"],
    a_refusal_can_be_read_by_the_page ["server.allowed_origins" = "https://app.example"],
    a_preflight_allows_what_clients_send ["server.allowed_origins" = "https://app.example"],
    a_preflight_of_a_foreign_page_allows_nothing ["server.allowed_origins" = "https://app.example"],
    every_page_may_come_where_all_are_allowed_but_without_credentials
        ["server.allowed_origins" = "*"],
    a_client_that_is_no_page_needs_no_origin ["server.allowed_origins" = "https://app.example"],
}

const PAGE: &str = "https://app.example";
const FOREIGN: [&str; 4] =
    ["https://evil.example", "null", "https://app.example.evil.example", "http://app.example"];

/// Asserts that a page of a listed origin can read this.
#[track_caller]
fn is_readable(answer: &Answer, origin: &str) {
    assert_eq!(answer.header("access-control-allow-origin"), origin, "{answer:?}");
    assert_eq!(answer.header("access-control-allow-credentials"), "true", "{answer:?}");
    let vary = answer.header("vary").to_lowercase();
    assert!(vary.contains("origin"), "a cache must not give it to another page: {answer:?}");
}

async fn a_foreign_origin_is_refused_before_a_session_exists(app: TestApp) {
    for origin in FOREIGN {
        let opening = app.socketio().bearer(&customer("kim").token()).header("Origin", origin);
        let polled = opening.poll().await;
        polled.is_refusal(403, 4);
        // It may read why, and nothing more.
        is_readable(&polled, origin);
        opening.no_socket().await.is_refusal(403, 4);
    }
    // Nor does it reach a session that is there.
    let mut kim = app.io(Via::Polling, "/", &customer("kim")).await;
    let polling = kim.polling();
    let target = polling.target("polling");
    let foreign = "Origin: https://evil.example\r\n";
    for (method, body) in [("GET", None), ("POST", Some("41"))] {
        let mut line = polling.another().await;
        line.ask(method, &target, foreign, body).await.is_refusal(403, 4);
    }
    let mut line = polling.another().await;
    let headers = format!("{UPGRADE}{foreign}");
    line.ask("GET", &polling.target("websocket"), &headers, None).await.is_refusal(403, 4);
    kim.ask("ping", json!({})).await;
    app.has_sessions(1).await;
    assert!(app.counted("frontdesk_origins_refused_total").await >= 8.0);
}

async fn no_origin_is_allowed_by_itself(app: TestApp) {
    // A page of the server's own host is no foreign one.
    let node: &Node = &app;
    let own = format!("http://{}", node.address());
    node.socketio().header("Origin", &own).poll().await.is_ok();
    for origin in FOREIGN.into_iter().chain([PAGE]) {
        app.socketio().header("Origin", origin).poll().await.is_refusal(403, 4);
        app.socketio().header("Origin", origin).no_socket().await.is_refusal(403, 4);
    }
}

async fn a_page_of_a_listed_origin_uses_every_transport(app: TestApp) {
    for origin in [PAGE, "https://b.example"] {
        for via in Via::ALL {
            let mut kim = app.socketio().header("Origin", origin).open(via).await;
            kim.welcomed("/chats", json!({"token": customer("kim").token()})).await;
            let chat = kim.chat();
            kim.say(chat, "hello").await;
        }
        let opening = app.socketio().header("Origin", origin);
        is_readable(&opening.poll().await, origin);
        let mut polling = opening.polling().await;
        let auth = json!({"token": customer("kim").token()});
        is_readable(&polling.post(&format!("40{auth}")).await, origin);
        is_readable(&polling.get().await, origin);
    }
}

async fn a_refusal_can_be_read_by_the_page(app: TestApp) {
    let origin = format!("Origin: {PAGE}\r\n");
    for (method, query, status, code) in [
        ("GET", "EIO=4&transport=abc", 400, 0),
        ("GET", "EIO=4&transport=polling&sid=abc", 400, 1),
        ("GET", "EIO=3&transport=polling", 400, 5),
        ("GET", "EIO=4&transport=websocket", 400, 3),
    ] {
        let answer = app.io_ask(method, query, &origin).await;
        answer.is_refusal(status, code);
        is_readable(&answer, PAGE);
    }
    // Where the session has broken the rules.
    let mut polling = app.socketio().header("Origin", PAGE).polling().await;
    let answer = polling.post("abc").await;
    assert_eq!(answer.status, 400, "{answer:?}");
    is_readable(&answer, PAGE);
}

/// The answer to a preflight.
async fn preflight(app: &TestApp, origin: &str, method: &str, headers: &str) -> Answer {
    let head = format!(
        "Origin: {origin}\r\nAccess-Control-Request-Method: {method}\r\n\
         Access-Control-Request-Headers: {headers}\r\n"
    );
    let target = "/socket.io/?EIO=4&transport=polling&sid=abc";
    Line::to(app.address()).await.ask("OPTIONS", target, &head, None).await
}

async fn a_preflight_allows_what_clients_send(app: TestApp) {
    for method in ["GET", "POST"] {
        let answer = preflight(&app, PAGE, method, "authorization,content-type").await;
        assert!([200, 204].contains(&answer.status), "{answer:?}");
        is_readable(&answer, PAGE);
        assert!(answer.header("access-control-allow-methods").contains(method), "{answer:?}");
        let headers = answer.header("access-control-allow-headers").to_lowercase();
        for header in ["authorization", "content-type"] {
            assert!(headers.contains(header), "{answer:?}");
        }
    }
}

async fn a_preflight_of_a_foreign_page_allows_nothing(app: TestApp) {
    for origin in FOREIGN {
        let answer = preflight(&app, origin, "POST", "authorization,content-type").await;
        assert_eq!((answer.status, &answer.json()["code"]), (403, &json!("forbidden")));
        assert_eq!(answer.header("access-control-allow-credentials"), "", "{answer:?}");
        assert_eq!(answer.header("access-control-allow-methods"), "", "{answer:?}");
    }
}

async fn every_page_may_come_where_all_are_allowed_but_without_credentials(app: TestApp) {
    for origin in ["https://anybody.example", "null"] {
        let opening = app.socketio().header("Origin", origin);
        let polled = opening.poll().await;
        assert_eq!(polled.status, 200, "{polled:?}");
        let allowed = polled.header("access-control-allow-origin");
        assert!(allowed == "*" || allowed == origin, "{polled:?}");
        assert_eq!(polled.header("access-control-allow-credentials"), "", "{polled:?}");
        let answer = preflight(&app, origin, "POST", "content-type").await;
        assert_eq!(answer.header("access-control-allow-credentials"), "", "{answer:?}");
        for via in Via::ALL {
            let mut kim = app.socketio().header("Origin", origin).open(via).await;
            kim.welcomed("/", json!({"token": customer("kim").token()})).await;
        }
    }
}

async fn a_client_that_is_no_page_needs_no_origin(app: TestApp) {
    for via in Via::ALL {
        let mut kim = app.io(via, "/", &customer("kim")).await;
        kim.ask("ping", json!({})).await;
    }
    let answer = app.socketio().poll().await;
    assert_eq!(answer.header("access-control-allow-origin"), "", "{answer:?}");
}
