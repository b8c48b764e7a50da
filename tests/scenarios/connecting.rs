//! The handshake, and the token in its header.

use crate::support::tokens::{SECRET, now, sign_with};
use crate::support::{
    Node, Person, TestApp, Value, WELCOME, admin, assert_keys, assert_time, customer, json,
    scenarios,
};

scenarios! {
    a_session_begins_with_welcome ["limits.messages_per_second" = 20, "limits.burst" = 200],
    an_admin_is_welcomed_without_support_chats,
    the_subprotocol_is_selected_where_it_is_offered,
    a_bad_token_is_refused_before_the_upgrade,
    an_expired_token_is_refused_by_its_name,
    a_clock_may_be_a_little_off,
    a_time_in_milliseconds_or_still_to_come_is_refused,
    a_subject_may_be_a_number,
    roles_have_two_names_in_any_case,
    a_token_without_a_role_makes_a_customer,
    an_older_token_changes_nothing_and_is_never_more_than_it_says,
    a_token_in_the_url_is_none,
    a_foreign_origin_is_refused ["server.allowed_origins" = "https://app.example,https://b.example"],
    an_allowed_origin_may_connect ["server.allowed_origins" = "https://app.example,https://b.example"],
    a_page_without_an_origin_may_be_allowed ["server.allowed_origins" = "null"],
    a_blocked_user_is_refused,
    a_malformed_resume_is_refused,
}

async fn a_session_begins_with_welcome(app: TestApp) {
    let kim = app.connect(&customer("kim")).await;
    let welcome = &kim.welcome;
    assert_keys(welcome, &WELCOME);
    assert!(welcome["sessionId"].as_str().is_some_and(|id| !id.is_empty()));
    assert_eq!(welcome["protocol"], 1);
    assert_eq!(
        welcome["user"],
        json!({"id": kim.user_id(), "role": "customer", "nickname": "Kim"})
    );
    let chats = welcome["chats"].as_array().expect("a list");
    assert_eq!(chats.len(), 1, "a customer has one chat");
    assert_keys(&chats[0], &["id", "lastSeq", "readSeq", "unread", "online", "reads"]);
    assert_eq!(
        (&chats[0]["lastSeq"], &chats[0]["readSeq"], &chats[0]["unread"]),
        (&json!(0), &json!(0), &json!(0))
    );
    assert_time(&welcome["serverTime"]);
    assert_eq!(welcome["heartbeatMs"], 25000);
    assert_eq!(
        welcome["limits"],
        json!({"frameBytes": 131072, "messageChars": 8000, "messagesPerSecond": 20, "burst": 200})
    );

    let again = app.connect(&customer("kim")).await;
    assert_ne!(again.session_id(), kim.session_id(), "a session is one connection");
    assert_eq!((again.user_id(), again.chat()), (kim.user_id(), kim.chat()));
}

async fn an_admin_is_welcomed_without_support_chats(app: TestApp) {
    app.connect(&customer("kim")).await;
    let ada = app.connect(&admin("ada")).await;
    assert_eq!(ada.welcome["user"]["role"], "admin");
    assert_eq!(ada.welcome["chats"], json!([]));
}

async fn the_subprotocol_is_selected_where_it_is_offered(app: TestApp) {
    let connecting = || app.connecting().bearer(&customer("kim").token());
    let selected = async |offer| {
        let offering = connecting().header("sec-websocket-protocol", offer);
        let (mut client, response) = offering.attempt().await.expect("an upgrade");
        client.read_welcome().await;
        response.headers().get("sec-websocket-protocol").cloned()
    };
    assert_eq!(selected("frontdesk.v1.json").await.expect("selected"), "frontdesk.v1.json");
    assert_eq!(
        selected("graphql-ws, frontdesk.v1.json").await.expect("selected"),
        "frontdesk.v1.json"
    );
    let (_, response) = connecting().attempt().await.expect("an upgrade");
    assert!(!response.headers().contains_key("sec-websocket-protocol"), "none was offered");
}

async fn a_bad_token_is_refused_before_the_upgrade(app: TestApp) {
    let kim = customer("kim");
    let unsigned = {
        // {"alg":"none","typ":"JWT"}, with good claims and without a signature.
        let signed = kim.token();
        let claims = signed.split('.').nth(1).expect("a token has three parts");
        format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}.")
    };
    let mut tampered = kim.token();
    tampered.truncate(tampered.len() - 4);
    tampered.push_str("AAAA");
    for (what, token) in [
        ("no token at all", "nonsense".into()),
        ("alg none", unsigned),
        ("another secret", sign_with(&kim.claims(), "not the secret, and long enough for one")),
        ("a derived issuer's name", kim.token_with(&json!({"iss": "frontdesk"}))),
        ("a changed signature", tampered),
        ("no exp", kim.token_with(&json!({"exp": null}))),
        ("no sub", kim.token_with(&json!({"sub": null}))),
        ("a sub too long", kim.token_with(&json!({"sub": "s".repeat(256)}))),
        ("an unknown role", kim.token_with(&json!({"role": "root"}))),
        ("not yet valid", kim.token_with(&json!({"nbf": now() + 600}))),
    ] {
        let refusal = app.connecting().bearer(&token).refused(401, "unauthenticated").await;
        let text = refusal.body.to_string();
        assert!(!text.contains(SECRET) && !text.contains(&token), "{what}: {text}");
    }
    app.connect(&kim).await;
}

async fn an_expired_token_is_refused_by_its_name(app: TestApp) {
    let token = customer("kim").token_with(&json!({"exp": now() - 60}));
    app.connecting().bearer(&token).refused(401, "token_expired").await;
}

async fn a_clock_may_be_a_little_off(app: TestApp) {
    let late = customer("kim").token_with(&json!({"exp": now() - 10, "nbf": now() + 10}));
    app.connecting().bearer(&late).welcomed().await;
    let for_long = customer("kim").token_with(&json!({"exp": 99_999_999_999_i64}));
    app.connecting().bearer(&for_long).welcomed().await;
}

async fn a_time_in_milliseconds_or_still_to_come_is_refused(app: TestApp) {
    let millis = now() * 1000;
    for (claims, detail) in [
        (json!({"exp": millis}), "exp is in milliseconds"),
        (json!({"iat": millis}), "iat is in milliseconds"),
        (json!({"nbf": millis}), "nbf is in milliseconds"),
        (json!({"iat": now() + 3600}), "iat is still to come"),
    ] {
        let token = customer("kim").token_with(&claims);
        let refusal = app.connecting().bearer(&token).refused(401, "unauthenticated").await;
        let said = refusal.body["detail"].as_str().unwrap_or_default();
        assert!(said.contains(detail), "{said}");
    }
}

async fn a_subject_may_be_a_number(app: TestApp) {
    let seven = customer("kim").token_with(&json!({"sub": 7}));
    let first = app.connecting().bearer(&seven).welcomed().await;
    let second = app.connecting().bearer(&seven).welcomed().await;
    assert_eq!(first.user_id(), second.user_id());
    let long = customer("kim").token_with(&json!({"sub": "s".repeat(255)}));
    app.connecting().bearer(&long).welcomed().await;
}

async fn roles_have_two_names_in_any_case(app: TestApp) {
    for (i, (name, role)) in
        [("USER", "customer"), ("Customer", "customer"), ("ADMIN", "admin"), ("Admin", "admin")]
            .into_iter()
            .enumerate()
    {
        let token = customer(&format!("user-{i}")).token_with(&json!({"role": name}));
        let client = app.connecting().bearer(&token).welcomed().await;
        assert_eq!(client.welcome["user"]["role"], role, "{name}");
    }
}

async fn a_token_without_a_role_makes_a_customer(app: TestApp) {
    let token =
        customer("kim").token_with(&json!({"role": null, "nickname": null, "name": "Kimberly"}));
    let kim = app.connecting().bearer(&token).welcomed().await;
    assert_eq!(kim.welcome["user"]["role"], "customer");
    assert_eq!(kim.welcome["user"]["nickname"], "Kimberly");
}

async fn an_older_token_changes_nothing_and_is_never_more_than_it_says(app: TestApp) {
    let kim = customer("kim");
    let then = now() - 1000;
    let user = async |claims: Value| -> Value {
        let token = kim.token_with(&claims);
        app.connecting().bearer(&token).welcomed().await.welcome["user"].take()
    };
    let first = user(json!({"iat": then})).await;
    assert_eq!(first["nickname"], "Kim");

    let older = json!({"iat": then - 1, "nickname": "Older", "role": "admin"});
    assert_eq!(user(older).await, first, "an older token changes nothing");
    let same = json!({"iat": then, "nickname": "Same", "role": "admin"});
    let same = user(same).await;
    assert_eq!((&same["role"], &same["nickname"]), (&json!("admin"), &json!("Same")));
    // Stored is an admin, but this token is a customer's.
    let lesser = user(json!({"iat": then - 1, "role": "customer"})).await;
    assert_eq!((&lesser["role"], &lesser["nickname"]), (&json!("customer"), &json!("Same")));
    let timeless = json!({"iat": null, "nickname": "Kim", "role": "customer"});
    assert_eq!(user(timeless).await, first, "without a time the last word counts");
    let silent = json!({"iat": then + 1, "nickname": null, "role": null});
    assert_eq!(user(silent).await, first, "a missing claim changes nothing");

    let newer = user(json!({"iat": then + 2, "nickname": "Kay", "role": "admin"})).await;
    assert_eq!(newer, json!({"id": first["id"], "role": "admin", "nickname": "Kay"}));
}

async fn a_token_in_the_url_is_none(app: TestApp) {
    let token = customer("kim").token();
    let query = format!("token={token}&access_token={token}&authorization={token}");
    let mut client = app.connecting().query(&query).open().await;
    client.send_with_id("ping", json!({}), json!(1)).await;
    let exception = client.answer(&json!(1)).await.expect_err("nobody has signed in");
    assert_eq!(exception["code"], "unauthenticated");
    assert_eq!(client.closed().await, 4401);
}

async fn a_foreign_origin_is_refused(app: TestApp) {
    for origin in
        ["https://evil.example", "null", "https://app.example.evil.example", "http://app.example"]
    {
        let with_token = app.connecting().bearer(&customer("kim").token());
        with_token.header("origin", origin).refused(403, "forbidden").await;
        app.connecting().header("origin", origin).refused(403, "forbidden").await;
    }
}

async fn an_allowed_origin_may_connect(app: TestApp) {
    let node: &Node = &app;
    let same = format!("http://{}", node.address());
    for origin in ["https://app.example", "https://b.example", same.as_str()] {
        let token = customer("kim").token();
        node.connecting().bearer(&token).header("origin", origin).welcomed().await;
    }
}

async fn a_page_without_an_origin_may_be_allowed(app: TestApp) {
    let connecting = || app.connecting().bearer(&customer("kim").token());
    connecting().header("origin", "null").welcomed().await;
    connecting().header("origin", "https://evil.example").refused(403, "forbidden").await;
}

async fn a_blocked_user_is_refused(app: TestApp) {
    let (kim, ada): (Person, Person) = (customer("kim"), admin("ada"));
    let user = app.connect(&kim).await.user_id();
    app.post(&ada, &format!("/users/{user}/block"), json!({})).await;
    app.connecting().bearer(&kim.token()).refused(403, "forbidden").await;
    app.post(&ada, &format!("/users/{user}/unblock"), json!({})).await;
    app.connect(&kim).await;
}

async fn a_malformed_resume_is_refused(app: TestApp) {
    let chat = app.connect(&customer("kim")).await.chat();
    for resume in ["10", "10:", ":5", "a:b", "10:-1", "10:1:2", "10:5,", "10:99999999999999999999"]
    {
        let connecting = app.connecting().bearer(&customer("kim").token());
        connecting.query(&format!("resume={resume}")).refused(400, "bad_request").await;
    }
    app.resume(&customer("kim"), &format!("{chat}:0")).await;
}
