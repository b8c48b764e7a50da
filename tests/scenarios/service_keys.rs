//! Keys of services that call the HTTP API.

use reqwest::Method;

use crate::support::{Node, Reply, TestApp, Value, admin, customer, json, scenarios};

scenarios! {
    a_service_reads_and_writes_what_its_key_is_for,
    a_key_opens_nothing_beyond_its_scopes,
    a_revoked_key_is_refused_at_once_on_every_node,
    a_key_is_listed_and_never_shown_again,
    a_key_is_for_http_alone,
    a_service_whose_user_is_blocked_is_refused,
    an_address_that_guesses_keys_is_slowed_down_and_no_other
        ["limits.wrong_keys_per_address" = 2, "server.trusted_proxies" = "127.0.0.1"]
        on one node "counts a node",
}

/// A new key, and its number.
fn make(app: &TestApp, name: &str, scopes: &[&str]) -> (String, i64) {
    let scopes = scopes.iter().flat_map(|scope| ["--scope", scope]);
    let args: Vec<&str> =
        ["key", "add", "--name", name, "--json"].into_iter().chain(scopes).collect();
    let made = app.operate(&args, "").value();
    let key = made["key"].as_str().expect("a key").to_owned();
    (key, made["id"].as_i64().expect("a number"))
}

async fn ask(node: &Node, key: &str, method: Method, path: &str, body: Option<Value>) -> Reply {
    let request = node.request(method, path).bearer_auth(key);
    node.send(match body {
        Some(body) => request.json(&body),
        None => request,
    })
    .await
}

async fn get(node: &Node, key: &str, path: &str) -> Reply {
    ask(node, key, Method::GET, path, None).await
}

async fn a_service_reads_and_writes_what_its_key_is_for(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    let (chat, user) = (kim.chat(), kim.user_id());
    kim.say(chat, "where is my parcel?").await;
    let (key, _) = make(&app, "parcels", &["chats:read", "messages:write"]);
    let chats = get(&app, &key, "/chats").await.is(200);
    assert_eq!(chats["data"][0]["id"], chat);
    // Addresses are for those who may read users.
    assert!(chats["data"][0]["members"][0].get("email").is_none(), "{chats}");
    let path = format!("/chats/{chat}/messages");
    assert_eq!(get(&app, &key, &path).await.is(200)["count"], 1);
    let body = json!({"message": "on its way", "clientId": "p-1"});
    let sent = ask(&app, &key, Method::POST, &path, Some(body.clone())).await.is(201);
    assert_eq!(sent["seq"], 2);
    assert_eq!(ask(&app, &key, Method::POST, &path, Some(body)).await.is(200)["duplicate"], true);
    let heard = kim.hears("on its way").await;
    assert_eq!(heard["author"]["role"], "bot");
    let (users, _) = make(&app, "directory", &["users:read", "users:write"]);
    assert_eq!(get(&app, &users, &format!("/users/{user}")).await.is(200)["subject"], "kim");
    let new = json!({"subject": "lee", "nickname": "Lee"});
    ask(&app, &users, Method::POST, "/users", Some(new)).await.is(201);
    let reason = json!({"reason": "asked for it"});
    let block = format!("/users/{user}/block");
    let blocked = ask(&app, &users, Method::POST, &block, Some(reason)).await.is(200);
    assert_eq!(
        (&blocked["blocked"], &blocked["blockReason"]),
        (&json!(true), &json!("asked for it"))
    );
    assert_eq!(kim.closed().await, 4410);
    let long = json!({"reason": "x".repeat(501)});
    let refused =
        ask(&app, &users, Method::POST, &block, Some(long)).await.problem(400, "bad_request");
    assert_eq!(refused["errors"][0]["path"], "reason");
    // Who may only write users is told nothing of those that there are.
    let (writer, _) = make(&app, "import", &["users:write"]);
    let known = json!({"subject": "kim"});
    let known = ask(&app, &writer, Method::POST, "/users", Some(known)).await.is(200);
    assert!(known["email"].is_null() && known["nickname"].is_null(), "{known}");
    assert!(known.get("blockReason").is_none(), "{known}");
    // Two keys of one name are one service: a key is changed without a pause.
    let (second, _) = make(&app, "parcels", &["messages:write"]);
    let sent =
        ask(&app, &second, Method::POST, &path, Some(json!({"message": "arrived"}))).await.is(201);
    let written = app.history(&admin("ada"), chat).await;
    assert_eq!(written[1]["author"]["id"], written[2]["author"]["id"]);
    assert_eq!(sent["seq"], 3);
}

async fn a_key_opens_nothing_beyond_its_scopes(app: TestApp) {
    let kim = app.connect(&customer("kim")).await;
    let (chat, user) = (kim.chat(), kim.user_id());
    let path = format!("/chats/{chat}/messages");
    let post = json!({"message": "hello"});
    let all = ["chats:read", "messages:write", "users:read", "users:write"];
    for scope in all {
        let (key, _) = make(&app, "crm", &[scope]);
        let asked = [
            (Method::GET, "/chats".to_owned(), None, "chats:read"),
            (Method::GET, format!("/chats/{chat}"), None, "chats:read"),
            (Method::GET, path.clone(), None, "chats:read"),
            (Method::POST, path.clone(), Some(post.clone()), "messages:write"),
            (Method::GET, "/users".to_owned(), None, "users:read"),
            (Method::GET, format!("/users/{user}"), None, "users:read"),
            (Method::POST, format!("/users/{user}/unblock"), Some(json!({})), "users:write"),
            (Method::POST, "/users".to_owned(), Some(json!({"subject": "lee"})), "users:write"),
        ];
        for (method, path, body, needed) in asked {
            let answer = ask(&app, &key, method, &path, body).await;
            if needed == scope {
                assert!(answer.status < 300, "{path}: {}", answer.text);
            } else {
                let refused = answer.problem(403, "forbidden");
                assert!(refused["detail"].as_str().is_some_and(|text| text.contains(needed)));
            }
        }
        // No scope is for what a user alone has, nor for what an admin looks after.
        for (method, path, body) in [
            (Method::PUT, format!("/chats/{chat}/read"), Some(json!({"seq": 1}))),
            (Method::POST, "/chats".to_owned(), Some(json!({"userIds": [user]}))),
            (Method::GET, "/admin/keys".to_owned(), None),
            (Method::DELETE, "/admin/keys/1".to_owned(), None),
            (
                Method::PUT,
                "/auth/password".to_owned(),
                Some(json!({"password": "x", "newPassword": "12345678"})),
            ),
        ] {
            ask(&app, &key, method, &path, body).await.problem(403, "forbidden");
        }
    }
    let none = app.operate(&["key", "add", "--name", "crm"], "");
    assert_ne!(none.code, 0);
    let unknown = app.operate(&["key", "add", "--name", "crm", "--scope", "everything"], "");
    assert!(unknown.code == 2 && unknown.error.contains("chats:read"), "{}", unknown.error);
}

async fn a_revoked_key_is_refused_at_once_on_every_node(app: TestApp) {
    let (first, id) = make(&app, "crm", &["chats:read"]);
    let (second, other) = make(&app, "crm", &["chats:read"]);
    get(&app, &first, "/chats").await.is(200);
    let path = format!("/admin/keys/{id}");
    let kim = app.request_of(&customer("kim"), Method::DELETE, &path);
    app.send(kim).await.problem(403, "forbidden");
    for _ in 0..2 {
        let ada = app.request_of(&admin("ada"), Method::DELETE, &path);
        assert_eq!(app.send(ada).await.status, 204);
    }
    for address in app.addresses() {
        let node = Node::elsewhere(address);
        get(&node, &first, "/chats").await.problem(401, "unauthenticated");
        get(&node, &second, "/chats").await.is(200);
    }
    let revoked = app.operate(&["key", "revoke", &other.to_string(), "--json"], "").value();
    assert!(revoked["revokedAt"].is_string(), "{revoked}");
    get(&app, &second, "/chats").await.problem(401, "unauthenticated");
    let missing = app.request_of(&admin("ada"), Method::DELETE, "/admin/keys/999");
    app.send(missing).await.problem(404, "key_not_found");
}

async fn a_key_is_listed_and_never_shown_again(app: TestApp) {
    let (key, id) = make(&app, "crm", &["users:write", "chats:read"]);
    let keys = app.list(&admin("ada"), "/admin/keys?limit=1").await;
    assert_eq!(keys.len(), 1);
    assert_eq!((&keys[0]["id"], &keys[0]["name"]), (&json!(id), &json!("crm")));
    assert_eq!(keys[0]["scopes"], json!(["chats:read", "users:write"]));
    assert!(keys[0]["lastUsedAt"].is_null() && keys[0]["revokedAt"].is_null());
    get(&app, &key, "/chats").await.is(200);
    let listed = app.operate(&["key", "list", "--json"], "").value();
    assert!(listed["lastUsedAt"].is_string(), "{listed}");
    assert!(!listed.to_string().contains(&key));
}

async fn a_key_is_for_http_alone(app: TestApp) {
    let (key, _) = make(&app, "crm", &["chats:read"]);
    app.connecting().bearer(&key).refused(401, "unauthenticated").await;
    let mut session = app.connecting().open().await;
    session.send("authenticate", json!({"token": key})).await;
    assert_eq!(session.expect("exception").await["code"], "unauthenticated");
    assert_eq!(session.closed().await, 4401);
    let me = get(&app, &key, "/users/me").await.is(200);
    assert_eq!((&me["role"], &me["subject"]), (&json!("bot"), &json!("bot:crm")));
    for wrong in ["fdk_", "fdk_AAAA", &format!("{key}x")] {
        get(&app, wrong, "/chats").await.problem(401, "unauthenticated");
    }
}

async fn a_service_whose_user_is_blocked_is_refused(app: TestApp) {
    let (key, _) = make(&app, "crm", &["chats:read"]);
    let me = get(&app, &key, "/users/me").await.is(200);
    let block = format!("/users/{}/block", me["id"]);
    app.post(&admin("ada"), &block, json!({})).await.is(200);
    get(&app, &key, "/chats").await.problem(403, "forbidden");
}

async fn an_address_that_guesses_keys_is_slowed_down_and_no_other(app: TestApp) {
    let (key, _) = make(&app, "parcels", &["chats:read"]);
    let shown = async |key: &str, client: &str| {
        let request = app.request(Method::GET, "/chats").bearer_auth(key);
        app.send(request.header("X-Forwarded-For", client)).await
    };
    let guess = |digit: &str| format!("fdk_{}", digit.repeat(43));
    for wrong in [guess("a"), guess("b")] {
        shown(&wrong, "192.0.2.7").await.problem(401, "unauthenticated");
    }
    // Right or wrong is not told any more.
    for key in [&guess("c"), &key] {
        let refused = shown(key, "192.0.2.7").await;
        assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0));
        refused.problem(429, "rate_limited");
    }
    shown(&key, "192.0.2.8").await.is(200);
}
