//! Limits by the client's address, as a proxy in front names it. All sockets of a test come from
//! 127.0.0.1.

use crate::support::{
    RawClient, TestApp, TestClient, admin, customer, eventually, json, scenarios,
};

scenarios! {
    one_address_cannot_take_all_sockets_without_a_token ["server.trusted_proxies" = "127.0.0.1", "limits.unauthenticated" = 8]
        on one node "each node counts its own sockets",
    a_socket_without_a_token_gives_its_place_back_however_it_ends ["server.trusted_proxies" = "127.0.0.1", "limits.unauthenticated_per_address" = 1]
        on one node "each node counts its own sockets",
    an_unauthenticated_socket_of_each_address_is_within_the_nodes_limit ["server.trusted_proxies" = "127.0.0.1", "limits.unauthenticated" = 2]
        on one node "each node counts its own sockets",
    an_address_that_connects_too_often_is_told_when_to_come_back ["server.trusted_proxies" = "127.0.0.0/8", "limits.connects_per_address" = 1]
        on one node "each node counts its own connects",
    a_proxy_that_names_nobody_is_not_limited ["server.trusted_proxies" = "127.0.0.1", "limits.connects_per_address" = 1, "limits.unauthenticated_per_address" = 1],
    a_forged_header_changes_no_address ["server.trusted_proxies" = "127.0.0.1", "limits.unauthenticated_per_address" = 1]
        on one node "each node counts its own sockets",
    a_header_of_an_untrusted_peer_is_ignored ["limits.unauthenticated_per_address" = 1],
}

const KIM: &str = "198.51.100.7";
const LEE: &str = "203.0.113.9";

impl TestApp {
    /// A connection from `address`, by way of a proxy.
    async fn from(&self, address: &str) -> TestClient {
        self.connecting().header("x-forwarded-for", address).open().await
    }

    /// A refusal for too many sockets without a token.
    async fn full(&self, address: &str) {
        let connecting = self.connecting().header("x-forwarded-for", address);
        connecting.refused(503, "unavailable").await;
    }

    async fn refused_by(&self, reason: &str) -> f64 {
        self.metric(&format!("frontdesk_connects_refused_total{{reason=\"{reason}\"}}")).await
    }
}

async fn one_address_cannot_take_all_sockets_without_a_token(app: TestApp) {
    // A quarter of 8.
    let mut first = app.from(KIM).await;
    let _second = app.from("::ffff:198.51.100.7").await;
    app.full(KIM).await;
    app.full(&format!("{LEE}, {KIM}, 127.0.0.1")).await;
    let forwarded = app.connecting().header("forwarded", "for=203.0.113.9, for=198.51.100.7");
    let refusal = forwarded.refused(503, "unavailable").await;
    assert!(refusal.body["detail"].as_str().expect("a text").contains("this address"));
    assert_eq!(app.refused_by("UnauthenticatedPerAddress").await, 3.0);
    // Others come in, and so does the same address with a token.
    let _third = app.from(LEE).await;
    let token = customer("kim").token();
    app.connecting().header("x-forwarded-for", KIM).bearer(&token).welcomed().await;
    // Networks of 64 bits count as one.
    let _sixes = (app.from("2001:db8:1:2::1").await, app.from("2001:db8:1:2::2").await);
    app.full("2001:db8:1:2:ffff::3").await;
    let _other = app.from("2001:db8:1:3::1").await;
    first.send("authenticate", json!({"token": token})).await;
    first.read_welcome().await;
    app.from(KIM).await;
}

async fn a_socket_without_a_token_gives_its_place_back_however_it_ends(app: TestApp) {
    let attempt = || async {
        let attempt = app.connecting().header("x-forwarded-for", KIM).attempt().await;
        attempt.ok().map(|(client, _)| client)
    };
    let mut client = app.from(KIM).await;
    for ending in 0..6 {
        app.full(KIM).await;
        match ending {
            // Accepted, rejected, unreadable, closed, and dropped.
            0 => {
                client.send("authenticate", json!({"token": admin("ada").token()})).await;
                client.read_welcome().await;
            }
            1 => client.send("authenticate", json!({"token": "nonsense"})).await,
            2 => client.send_text("this is not JSON").await,
            3 => client.close().await,
            _ => drop(client),
        }
        client = eventually("a place is given back", attempt).await;
    }
    // Given back once: there is one place, and not two.
    app.full(KIM).await;
    assert_eq!(app.metric("frontdesk_unauthenticated").await, 1.0);
}

async fn an_unauthenticated_socket_of_each_address_is_within_the_nodes_limit(app: TestApp) {
    let _sockets = (app.from(KIM).await, app.from(LEE).await);
    app.full("192.0.2.1").await;
    assert_eq!(app.refused_by("Unauthenticated").await, 1.0);
    assert_eq!(app.refused_by("UnauthenticatedPerAddress").await, 0.0);
}

async fn an_address_that_connects_too_often_is_told_when_to_come_back(app: TestApp) {
    let connecting = |address| {
        let token = customer("kim").token();
        app.connecting().header("x-forwarded-for", address).bearer(&token)
    };
    // A bucket fills while a slow machine connects, so one of many is refused, and not the second.
    let refusal =
        eventually("a connect beyond the rate", || async { connecting(KIM).attempt().await.err() })
            .await;
    assert_eq!((refusal.status, &refusal.body["code"]), (429, &json!("rate_limited")));
    assert_eq!(refusal.retry_after, "1");
    let wait = refusal.body["retryAfterMs"].as_u64().expect("a time");
    assert!((1..=1000).contains(&wait), "{wait}");
    assert!(app.refused_by("ConnectsPerAddress").await >= 1.0);
    connecting(LEE).welcomed().await;
    eventually("the rate allows one more", || async { connecting(KIM).attempt().await.ok() }).await;
}

async fn a_proxy_that_names_nobody_is_not_limited(app: TestApp) {
    let mut sockets = Vec::new();
    for _ in 0..3 {
        sockets.push(app.connecting().open().await);
        sockets.push(app.from("unknown").await);
        sockets.push(app.connecting().header("forwarded", "for=_hidden").open().await);
    }
}

async fn a_forged_header_changes_no_address(app: TestApp) {
    let _first = app.from(KIM).await;
    for forged in [LEE, "unknown", "127.0.0.1", "\"", "for=\""] {
        app.full(&format!("{forged}, {KIM}")).await;
    }
    // The proxy passes the other header on: what differs shares one address.
    let with = |forwarded: &str| {
        app.connecting().header("x-forwarded-for", KIM).header("forwarded", forwarded)
    };
    let _second = with("for=203.0.113.9").open().await;
    with("for=192.0.2.1").refused(503, "unavailable").await;
    with("for=unknown").refused(503, "unavailable").await;
    app.from(LEE).await;
}

async fn a_header_of_an_untrusted_peer_is_ignored(app: TestApp) {
    // Loopback itself is not limited.
    let _sockets = (app.from(KIM).await, app.from(KIM).await, RawClient::without_token(&app).await);
}
