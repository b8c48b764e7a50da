//! Accounts of frontdesk's own: sign-up, login, refresh, logout, passwords.

use reqwest::Method;

use crate::support::{
    Node, Reply, TestApp, TestClient, Value, admin, all, assert_keys, customer, json, scenarios,
};

const PASSWORD: &str = "correct horse";

scenarios! {
    who_signs_up_is_a_customer_with_a_chat_of_their_own,
    an_email_has_one_account_however_it_is_written,
    a_wrong_password_and_an_unknown_email_are_told_in_the_same_words,
    many_who_sign_up_with_one_email_at_once_make_one_account
        ["limits.sign_ups_per_address" = 1000, "auth.password_queue" = 1000],
    an_access_token_has_no_role_and_the_stored_one_counts,
    a_refresh_token_is_good_once_and_for_tabs_that_ask_at_once,
    a_refresh_token_that_was_stolen_ends_the_login,
    who_logs_out_is_out_everywhere_at_once,
    a_logout_leaves_other_devices_alone,
    a_new_password_ends_the_other_logins,
    a_user_of_the_application_has_no_password_here,
    a_login_that_was_ended_on_the_command_line_ends_its_sessions,
    who_is_blocked_cannot_log_in_or_refresh,
    an_address_that_guesses_is_slowed_down
        ["limits.logins_per_address" = 3, "limits.logins_per_account" = 0] on one node "counts a node",
    an_account_that_is_guessed_at_is_slowed_down_whether_it_exists_or_not
        ["limits.logins_per_account" = 2] on one node "counts a node",
    behind_a_proxy_each_client_has_its_own_attempts
        ["limits.logins_per_address" = 2, "server.trusted_proxies" = "127.0.0.1"]
        on one node "counts a node",
    a_crowd_that_signs_up_is_slowed_down
        ["limits.sign_ups_per_address" = 2] on one node "counts a node",
    whoever_finds_the_hashing_busy_is_told_when_to_come_back
        ["auth.password_queue" = 1, "limits.logins_per_address" = 0, "limits.logins_per_account" = 0]
        on one node "has one thread a node",
    without_sign_up_the_command_line_alone_makes_accounts ["auth.sign_up" = false],
    accounts_can_be_switched_off ["auth.local_accounts" = false],
    a_host_application_cannot_sign_for_an_account,
    an_account_stays_signed_in_when_the_secret_changes on one node "restarts it with another secret",
}

async fn auth(node: &Node, path: &str, body: Value) -> Reply {
    node.send(node.request(Method::POST, &format!("/auth/{path}")).json(&body)).await
}

async fn sign_up(node: &Node, email: &str) -> Value {
    let body = json!({"email": email, "password": PASSWORD, "nickname": "Kim"});
    auth(node, "register", body).await.is(201)
}

async fn log_in(node: &Node, email: &str) -> Value {
    auth(node, "login", json!({"email": email, "password": PASSWORD})).await.is(200)
}

fn token(tokens: &Value) -> &str {
    tokens["accessToken"].as_str().expect("an access token")
}

async fn connect(node: &Node, tokens: &Value) -> TestClient {
    node.connecting().bearer(token(tokens)).welcomed().await
}

async fn get(node: &Node, tokens: &Value, path: &str) -> Reply {
    node.send(node.request(Method::GET, path).bearer_auth(token(tokens))).await
}

async fn refresh(node: &Node, tokens: &Value) -> Reply {
    auth(node, "refresh", json!({"refreshToken": tokens["refreshToken"]})).await
}

async fn log_out(node: &Node, tokens: &Value) -> Reply {
    node.send(node.request(Method::POST, "/auth/logout").bearer_auth(token(tokens))).await
}

async fn who_signs_up_is_a_customer_with_a_chat_of_their_own(app: TestApp) {
    let tokens = sign_up(&app, "kim@example.org").await;
    assert_keys(&tokens, &["accessToken", "refreshToken", "tokenType", "expiresIn"]);
    assert_eq!((&tokens["tokenType"], &tokens["expiresIn"]), (&json!("Bearer"), &json!(900)));
    let mut kim = connect(&app, &tokens).await;
    assert_eq!(kim.welcome["user"]["role"], "customer");
    assert_eq!(kim.welcome["user"]["nickname"], "Kim");
    kim.say(kim.chat(), "hello").await;
    let again = connect(&app, &log_in(&app, "kim@example.org").await).await;
    assert_eq!((again.user_id(), again.chat()), (kim.user_id(), kim.chat()));
    let me = get(&app, &tokens, "/users/me").await.is(200);
    assert_eq!((&me["issuer"], &me["email"]), (&json!("frontdesk"), &json!("kim@example.org")));
    assert_eq!(me["subject"], kim.user_id().to_string());
    // Agents see it as any other chat.
    app.get(&admin("ada"), &format!("/chats/{}", kim.chat())).await.is(200);
}

async fn an_email_has_one_account_however_it_is_written(app: TestApp) {
    sign_up(&app, "Kim@Example.org").await;
    let body = json!({"email": " kim@EXAMPLE.org ", "password": "another one"});
    let taken = auth(&app, "register", body).await.problem(409, "email_taken");
    assert_eq!(taken["errors"][0]["path"], "email");
    log_in(&app, "KIM@example.ORG").await;
    for (body, path) in [
        (json!({"email": "kim", "password": PASSWORD}), "email"),
        (json!({"email": "lee@example.org", "password": "short"}), "password"),
        (json!({"email": "lee@example.org"}), "password"),
        (json!({"email": "lee@example.org", "password": PASSWORD, "nickname": 7}), "nickname"),
    ] {
        let refused = auth(&app, "register", body).await.problem(400, "bad_request");
        assert_eq!(refused["errors"][0]["path"], path);
        assert!(!refused.to_string().contains(PASSWORD));
    }
}

async fn a_wrong_password_and_an_unknown_email_are_told_in_the_same_words(app: TestApp) {
    sign_up(&app, "kim@example.org").await;
    let wrong = json!({"email": "kim@example.org", "password": "wrong horse"});
    let unknown = json!({"email": "nobody@example.org", "password": "wrong horse"});
    let wrong = auth(&app, "login", wrong).await.problem(401, "unauthenticated");
    let unknown = auth(&app, "login", unknown).await.problem(401, "unauthenticated");
    assert_eq!(wrong, unknown);
}

async fn many_who_sign_up_with_one_email_at_once_make_one_account(app: TestApp) {
    let body = json!({"email": "kim@example.org", "password": PASSWORD});
    let answers = all((0..8).map(|_| auth(&app, "register", body.clone()))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
    let users = app.list(&admin("ada"), "/users?q=kim@example.org").await;
    assert_eq!(users.len(), 1, "{users:?}");
}

async fn an_access_token_has_no_role_and_the_stored_one_counts(app: TestApp) {
    let tokens = sign_up(&app, "kim@example.org").await;
    let mut kim = connect(&app, &tokens).await;
    let user = kim.user_id().to_string();
    get(&app, &tokens, "/users").await.problem(403, "forbidden");
    let made = app.operate(&["user", "set-role", &user, "admin", "--json"], "").value();
    assert_eq!(made["role"], "admin");
    get(&app, &tokens, "/users").await.is(200);
    // A session does not end because its user may do more.
    kim.request("ping", json!({})).await.expect("it goes on");
    let mut kim = connect(&app, &tokens).await;
    assert_eq!(kim.welcome["user"]["role"], "admin");
    app.operate(&["user", "set-role", "kim@example.org", "customer", "--json"], "").value();
    assert_eq!(kim.expect("goodbye").await["reason"], "role_changed");
    assert_eq!(kim.closed().await, 4401);
    get(&app, &tokens, "/users").await.problem(403, "forbidden");
    let mut kim = connect(&app, &tokens).await;
    kim.request("ping", json!({})).await.expect("a customer again");
}

async fn a_refresh_token_is_good_once_and_for_tabs_that_ask_at_once(app: TestApp) {
    let first = sign_up(&app, "kim@example.org").await;
    let tabs = all((0..5).map(|_| refresh(&app, &first))).await;
    let tabs: Vec<Value> = tabs.into_iter().map(|answer| answer.is(200)).collect();
    for tab in &tabs {
        assert_eq!(tab["refreshToken"], tabs[0]["refreshToken"]);
        get(&app, tab, "/users/me").await.is(200);
    }
    let next = refresh(&app, &tabs[0]).await.is(200);
    assert_ne!(next["refreshToken"], tabs[0]["refreshToken"]);
    get(&app, &next, "/users/me").await.is(200);
    for nonsense in ["", "fdr_", "x", token(&next)] {
        let body = json!({"refreshToken": nonsense});
        auth(&app, "refresh", body).await.problem(401, "unauthenticated");
    }
    auth(&app, "refresh", json!({})).await.problem(400, "bad_request");
}

async fn a_refresh_token_that_was_stolen_ends_the_login(app: TestApp) {
    let stolen = sign_up(&app, "kim@example.org").await;
    let second = refresh(&app, &stolen).await.is(200);
    let third = refresh(&app, &second).await.is(200);
    let mut kim = connect(&app, &third).await;
    let elsewhere = log_in(&app, "kim@example.org").await;
    refresh(&app, &stolen).await.problem(401, "unauthenticated");
    assert_eq!(kim.expect("goodbye").await["reason"], "signed_out");
    assert_eq!(kim.closed().await, 4410);
    refresh(&app, &third).await.problem(401, "unauthenticated");
    get(&app, &third, "/users/me").await.problem(401, "unauthenticated");
    // Another device of the same user is another login.
    get(&app, &elsewhere, "/users/me").await.is(200);
}

async fn who_logs_out_is_out_everywhere_at_once(app: TestApp) {
    let tokens = sign_up(&app, "kim@example.org").await;
    let mut sessions = Vec::new();
    for _ in 0..4 {
        sessions.push(connect(&app, &tokens).await);
    }
    assert_eq!(log_out(&app, &tokens).await.status, 204);
    for session in &mut sessions {
        assert_eq!(session.expect("goodbye").await["reason"], "signed_out");
        assert_eq!(session.closed().await, 4410);
    }
    get(&app, &tokens, "/users/me").await.problem(401, "unauthenticated");
    refresh(&app, &tokens).await.problem(401, "unauthenticated");
    app.connecting().bearer(token(&tokens)).refused(401, "unauthenticated").await;
    // Out already: by the access token, and by a refresh token that is all a client may still have.
    assert_eq!(log_out(&app, &tokens).await.status, 204);
    let body = json!({"refreshToken": tokens["refreshToken"]});
    assert_eq!(auth(&app, "logout", body).await.status, 204);
    auth(&app, "logout", json!({})).await.problem(401, "unauthenticated");
}

async fn a_logout_leaves_other_devices_alone(app: TestApp) {
    let phone = sign_up(&app, "kim@example.org").await;
    let laptop = log_in(&app, "kim@example.org").await;
    let (mut on_phone, mut on_laptop) = (connect(&app, &phone).await, connect(&app, &laptop).await);
    let body = json!({"refreshToken": phone["refreshToken"]});
    assert_eq!(auth(&app, "logout", body).await.status, 204);
    assert_eq!(on_phone.closed().await, 4410);
    on_laptop.say(on_laptop.chat(), "still here").await;
    // A session goes on with a fresh token of its user, whatever login that is of.
    let third = log_in(&app, "kim@example.org").await;
    on_laptop.insist("authenticate", json!({"token": token(&third)})).await;
    assert_eq!(log_out(&app, &laptop).await.status, 204);
    on_laptop.say(on_laptop.chat(), "here by the other login").await;
    assert_eq!(log_out(&app, &third).await.status, 204);
    assert_eq!(on_laptop.closed().await, 4410);
}

async fn a_new_password_ends_the_other_logins(app: TestApp) {
    let tokens = sign_up(&app, "kim@example.org").await;
    let mut thief = connect(&app, &log_in(&app, "kim@example.org").await).await;
    let mut own = connect(&app, &tokens).await;
    let change = |body: Value| {
        app.send(app.request(Method::PUT, "/auth/password").bearer_auth(token(&tokens)).json(&body))
    };
    let refused = change(json!({"password": "wrong horse", "newPassword": "battery staple"})).await;
    assert_eq!(refused.problem(403, "forbidden")["errors"][0]["path"], "password");
    let refused = change(json!({"password": PASSWORD, "newPassword": "short"})).await;
    assert_eq!(refused.problem(400, "bad_request")["errors"][0]["path"], "newPassword");
    let done = change(json!({"password": PASSWORD, "newPassword": "battery staple"})).await;
    assert_eq!(done.status, 204);
    assert_eq!(thief.expect("goodbye").await["reason"], "signed_out");
    assert_eq!(thief.closed().await, 4410);
    own.say(own.chat(), "the own login goes on").await;
    refresh(&app, &tokens).await.is(200);
    let old = json!({"email": "kim@example.org", "password": PASSWORD});
    auth(&app, "login", old).await.problem(401, "unauthenticated");
    let new = json!({"email": "kim@example.org", "password": "battery staple"});
    auth(&app, "login", new).await.is(200);
}

async fn a_user_of_the_application_has_no_password_here(app: TestApp) {
    let kim = customer("kim");
    let body = json!({"password": PASSWORD, "newPassword": "battery staple"});
    app.put(&kim, "/auth/password", body).await.problem(403, "forbidden");
    app.post(&kim, "/auth/logout", json!({})).await.problem(401, "unauthenticated");
}

async fn a_login_that_was_ended_on_the_command_line_ends_its_sessions(app: TestApp) {
    let added = ["user", "add", "--email", "ada@example.org", "--role", "admin", "--json"];
    let ada = app.operate(&added, &format!("{PASSWORD}\n")).value();
    assert_eq!((&ada["role"], &ada["email"]), (&json!("admin"), &json!("ada@example.org")));
    let tokens = log_in(&app, "ada@example.org").await;
    let mut session = connect(&app, &tokens).await;
    assert_eq!(session.welcome["user"]["role"], "admin");
    let set = app.operate(&["user", "password", "ada@example.org"], "battery staple\n");
    assert_eq!(set.code, 0, "{}", set.error);
    assert_eq!(session.expect("goodbye").await["reason"], "signed_out");
    assert_eq!(session.closed().await, 4410);
    get(&app, &tokens, "/users").await.problem(401, "unauthenticated");
    let short = app.operate(&["user", "password", "ada@example.org"], "short\n");
    assert!(short.code == 1 && short.error.contains("at least 8 characters"), "{}", short.error);
}

async fn who_is_blocked_cannot_log_in_or_refresh(app: TestApp) {
    let tokens = sign_up(&app, "kim@example.org").await;
    let mut kim = connect(&app, &tokens).await;
    let reason = "threatened an agent";
    let blocked =
        app.operate(&["user", "block", "kim@example.org", "--reason", reason, "--json"], "");
    assert_eq!(blocked.value()["blockReason"], reason);
    assert_eq!(kim.expect("goodbye").await["reason"], "blocked");
    assert_eq!(kim.closed().await, 4410);
    let right = json!({"email": "kim@example.org", "password": PASSWORD});
    auth(&app, "login", right).await.problem(403, "forbidden");
    let wrong = json!({"email": "kim@example.org", "password": "wrong horse"});
    auth(&app, "login", wrong).await.problem(401, "unauthenticated");
    for _ in 0..3 {
        refresh(&app, &tokens).await.problem(403, "forbidden");
    }
    let shown = app.get(&admin("ada"), &format!("/users/{}", kim.user_id())).await.is(200);
    assert_eq!((&shown["blocked"], &shown["blockReason"]), (&json!(true), &json!(reason)));
    let free = app.operate(&["user", "unblock", "kim@example.org", "--json"], "").value();
    assert!(free["blockReason"].is_null(), "{free}");
    get(&app, &tokens, "/users/me").await.is(200);
    // The block has used up no refresh token.
    let next = refresh(&app, &tokens).await.is(200);
    let next = refresh(&app, &next).await.is(200);
    get(&app, &next, "/users/me").await.is(200);
}

async fn guess(app: &TestApp, email: &str) -> Reply {
    auth(app, "login", json!({"email": email, "password": "wrong horse"})).await
}

async fn an_address_that_guesses_is_slowed_down(app: TestApp) {
    for name in ["a", "b", "c"] {
        guess(&app, &format!("{name}@example.org")).await.problem(401, "unauthenticated");
    }
    let limited = guess(&app, "d@example.org").await;
    let seconds: u64 = limited.header("retry-after").parse().expect("seconds");
    assert!((1..=20).contains(&seconds), "{seconds}");
    let limited = limited.problem(429, "rate_limited");
    assert!(limited["retryAfterMs"].as_u64().is_some_and(|ms| ms > 0), "{limited}");
    assert!(app.metric("frontdesk_logins_total").await >= 4.0);
}

async fn an_account_that_is_guessed_at_is_slowed_down_whether_it_exists_or_not(app: TestApp) {
    sign_up(&app, "kim@example.org").await;
    for email in ["kim@example.org", "nobody@example.org"] {
        for _ in 0..2 {
            guess(&app, email).await.problem(401, "unauthenticated");
        }
        guess(&app, &email.to_uppercase()).await.problem(429, "rate_limited");
    }
    guess(&app, "lee@example.org").await.problem(401, "unauthenticated");
}

async fn behind_a_proxy_each_client_has_its_own_attempts(app: TestApp) {
    let guess = async |name: &str, client: &str| {
        let body = json!({"email": format!("{name}@example.org"), "password": "wrong horse"});
        let request = app.request(Method::POST, "/auth/login").header("x-forwarded-for", client);
        app.send(request.json(&body)).await
    };
    for name in ["a", "b"] {
        guess(name, "192.0.2.1").await.problem(401, "unauthenticated");
    }
    guess("c", "192.0.2.1").await.problem(429, "rate_limited");
    guess("c", "192.0.2.2").await.problem(401, "unauthenticated");
    // What the client itself claims is not believed.
    guess("d", "198.51.100.7, 192.0.2.1").await.problem(429, "rate_limited");
}

async fn a_crowd_that_signs_up_is_slowed_down(app: TestApp) {
    for name in ["a", "b"] {
        sign_up(&app, &format!("{name}@example.org")).await;
    }
    let body = json!({"email": "c@example.org", "password": PASSWORD});
    auth(&app, "register", body).await.problem(429, "rate_limited");
    log_in(&app, "a@example.org").await;
}

async fn whoever_finds_the_hashing_busy_is_told_when_to_come_back(app: TestApp) {
    let answers = all((0..20).map(|_| guess(&app, "kim@example.org"))).await;
    let (busy, done): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 503);
    assert!(!busy.is_empty() && !done.is_empty(), "{} {}", busy.len(), done.len());
    for answer in busy {
        assert_eq!(answer.header("retry-after"), "1");
        answer.problem(503, "unavailable");
    }
    for answer in done {
        answer.problem(401, "unauthenticated");
    }
    assert!(app.metric("frontdesk_passwords_refused_total").await >= 1.0);
    assert_eq!(app.metric("frontdesk_passwords_waiting").await, 0.0);
}

async fn without_sign_up_the_command_line_alone_makes_accounts(app: TestApp) {
    let body = json!({"email": "kim@example.org", "password": PASSWORD});
    auth(&app, "register", body).await.problem(403, "forbidden");
    let made = app.operate(&["user", "add", "--email", "kim@example.org", "--json"], PASSWORD);
    assert_eq!(made.value()["role"], "customer");
    log_in(&app, "kim@example.org").await;
    let twice = app.operate(&["user", "add", "--email", "KIM@example.org"], PASSWORD);
    assert!(twice.code == 1 && twice.error.contains("has an account"), "{}", twice.error);
    let listed = app.operate(&["user", "list", "--json"], "").json();
    assert_eq!(listed.len(), 1);
    let unknown = app.operate(&["user", "show", "999"], "");
    assert!(unknown.code == 1 && unknown.error.contains("no user 999"), "{}", unknown.error);
}

async fn accounts_can_be_switched_off(app: TestApp) {
    let body = json!({"email": "kim@example.org", "password": PASSWORD});
    for path in ["register", "login"] {
        auth(&app, path, body.clone()).await.problem(403, "forbidden");
    }
    app.connect(&customer("kim")).await;
}

async fn a_host_application_cannot_sign_for_an_account(app: TestApp) {
    let tokens = sign_up(&app, "kim@example.org").await;
    let me = get(&app, &tokens, "/users/me").await.is(200);
    let claims = json!({"iss": "frontdesk", "sub": me["subject"], "sid": "1"});
    let forged = customer("kim").token_with(&claims);
    app.connecting().bearer(&forged).refused(401, "unauthenticated").await;
}

async fn an_account_stays_signed_in_when_the_secret_changes(app: TestApp) {
    let tokens = sign_up(&app, "kim@example.org").await;
    let kim = customer("lee").token();
    let (old, new) =
        (crate::support::tokens::SECRET, "another-secret-of-thirty-two-bytes-and-more");
    let changed = [("auth.secret", new), ("auth.previous_secret", old)];
    let node = app.another_process_with(&changed).await;
    get(&node, &tokens, "/users/me").await.is(200);
    node.connecting().bearer(&kim).welcomed().await;
    let fresh = refresh(&node, &tokens).await.is(200);
    // What is signed now is signed with the new secret alone.
    let over = app.another_process_with(&[("auth.secret", new)]).await;
    get(&over, &fresh, "/users/me").await.is(200);
    get(&over, &tokens, "/users/me").await.problem(401, "unauthenticated");
    over.connecting().bearer(&kim).refused(401, "unauthenticated").await;
}
