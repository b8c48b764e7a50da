//! Lists over HTTP: page by page, each thing once.

use std::collections::HashSet;

use crate::support::{TestApp, Value, admin, assert_keys, assert_run, customer, json, scenarios};

scenarios! {
    a_page_says_how_to_go_on,
    messages_are_paged_in_both_orders,
    messages_are_visited_once_while_others_write,
    messages_begin_where_they_are_asked_to,
    an_admin_lists_every_chat_latest_first,
    a_customer_lists_the_own_chats,
    the_chats_of_a_user_are_listed_for_admins,
    a_cursor_that_was_tampered_with_is_refused,
    a_cursor_belongs_to_its_list_and_order,
    users_are_found_by_what_is_known_of_them,
    users_are_found_in_any_case_of_any_letter,
}

/// A customer's chat with so many messages.
async fn chat_of(app: &TestApp, name: &str, messages: usize) -> i64 {
    let mut client = app.connect(&customer(name)).await;
    for i in 1..=messages {
        client.say(client.chat(), &format!("message {i}")).await;
    }
    client.chat()
}

fn seqs(messages: &[Value]) -> Vec<i64> {
    messages.iter().map(|message| message["seq"].as_i64().expect("a seq")).collect()
}

async fn a_page_says_how_to_go_on(app: TestApp) {
    let chat = chat_of(&app, "kim", 6).await;
    let ada = admin("ada");
    let first = app.get(&ada, &format!("/chats/{chat}/messages?limit=4")).await.is(200);
    assert_keys(&first, &["data", "cursor", "count", "next"]);
    assert_eq!(
        (&first["count"], seqs(first["data"].as_array().expect("data"))),
        (&json!(4), vec![6, 5, 4, 3])
    );
    let after = first["cursor"]["after"].as_str().expect("there is more");
    let next = first["next"].as_str().expect("there is more");
    assert!(next.starts_with(&format!("/chats/{chat}/messages?")), "{next}");
    for part in ["limit=4", "order=desc", "after="] {
        assert!(next.contains(part), "{part} is not in {next}");
    }
    let by_cursor = format!("/chats/{chat}/messages?limit=4&after={after}");
    for path in [next, &by_cursor] {
        let last = app.get(&ada, path).await.is(200);
        assert_eq!(
            (&last["count"], seqs(last["data"].as_array().expect("data"))),
            (&json!(2), vec![2, 1])
        );
        assert_eq!((&last["cursor"]["after"], &last["next"]), (&Value::Null, &Value::Null));
    }
    // A last page that is full is a last page.
    for limit in [6, 100] {
        let whole = app.get(&ada, &format!("/chats/{chat}/messages?limit={limit}")).await.is(200);
        assert_eq!((&whole["count"], &whole["next"]), (&json!(6), &Value::Null));
    }
    let empty = chat_of(&app, "lee", 0).await;
    let page = app.get(&ada, &format!("/chats/{empty}/messages")).await.is(200);
    assert_eq!(page, json!({"data": [], "cursor": {"after": null}, "count": 0, "next": null}));
}

async fn messages_are_paged_in_both_orders(app: TestApp) {
    let chat = chat_of(&app, "kim", 55).await;
    let of = async |query: &str| {
        seqs(&app.list(&customer("kim"), &format!("/chats/{chat}/messages{query}")).await)
    };
    let upwards: Vec<_> = (1..=55).collect();
    let downwards: Vec<_> = (1..=55).rev().collect();
    assert_eq!(of("?limit=7&order=asc").await, upwards);
    assert_eq!(of("?limit=7&order=desc").await, downwards);
    assert_eq!(of("?limit=1").await, downwards);
    // Newest first, and fifty, unless asked otherwise.
    let page = app.get(&customer("kim"), &format!("/chats/{chat}/messages")).await.is(200);
    assert_eq!((&page["count"], &page["data"][0]["seq"]), (&json!(50), &json!(55)));
}

async fn messages_are_visited_once_while_others_write(app: TestApp) {
    let chat = chat_of(&app, "kim", 40).await;
    let mut kim = app.connect(&customer("kim")).await;
    for (order, from) in [("desc", 40), ("asc", 1)] {
        let mut path = format!("/chats/{chat}/messages?limit=3&order={order}");
        let (mut visited, mut writes) = (Vec::new(), 0);
        loop {
            let page = app.get(&admin("ada"), &path).await.is(200);
            visited.extend(seqs(page["data"].as_array().expect("data")));
            let Some(next) = page["next"].as_str() else { break };
            path = next.to_owned();
            // Two more for each page of three: who reads upwards comes to the end all the same.
            for _ in 0..2 {
                writes += 1;
                kim.say(chat, "meanwhile").await;
            }
        }
        if order == "desc" {
            assert!(writes > 20);
            visited.reverse();
            assert_run(&visited, 1, from);
        } else {
            let last = *visited.last().expect("some");
            assert_run(&visited, from, last);
        }
    }
}

async fn messages_begin_where_they_are_asked_to(app: TestApp) {
    let chat = chat_of(&app, "kim", 20).await;
    let of = async |query: &str| {
        seqs(&app.list(&customer("kim"), &format!("/chats/{chat}/messages?limit=3&{query}")).await)
    };
    assert_eq!(of("afterSeq=12&order=asc").await, (13..=20).collect::<Vec<_>>());
    assert_eq!(of("beforeSeq=9&order=desc").await, (1..=8).rev().collect::<Vec<_>>());
    assert!(of("afterSeq=20&order=asc").await.is_empty());
    assert!(of("beforeSeq=1&order=desc").await.is_empty());
    assert_eq!(of("afterSeq=0&order=asc").await.len(), 20);
    assert_eq!(of("beforeSeq=9223372036854775807&order=desc").await.len(), 20);
}

async fn an_admin_lists_every_chat_latest_first(app: TestApp) {
    let ada = admin("ada");
    let mut chats = Vec::new();
    for i in 0..25 {
        chats.push(chat_of(&app, &format!("customer-{i}"), 1).await);
    }
    // The first one moves last.
    app.connect(&ada).await.say(chats[0], "moved").await;
    let ids = |list: &[Value]| -> Vec<i64> {
        list.iter().map(|chat| chat["id"].as_i64().expect("an id")).collect()
    };
    let listed = app.list(&ada, "/chats?limit=10").await;
    let latest: Vec<_> = [chats[0]].into_iter().chain(chats[1..].iter().rev().copied()).collect();
    assert_eq!(ids(&listed), latest);
    let keys = [
        "id",
        "kind",
        "title",
        "lastSeq",
        "readSeq",
        "unread",
        "online",
        "lastMessage",
        "members",
        "createdAt",
        "updatedAt",
    ];
    assert_keys(&listed[0], &keys);
    assert_eq!(listed[0]["lastMessage"]["message"], "moved");
    assert_eq!(listed[0]["members"][0]["email"], "customer-0@example.org");
    let page = app.get(&ada, "/chats").await.is(200);
    assert_eq!(page["count"], 20);

    let upwards = ids(&app.list(&ada, "/chats?limit=10&order=asc").await);
    assert_eq!(upwards, latest.iter().rev().copied().collect::<Vec<_>>());

    // While others move, none is left out; one that moves may be seen again.
    let (mut seen, mut path, mut moving) = (HashSet::new(), "/chats?limit=4".to_owned(), 0);
    let mut client = app.connect(&ada).await;
    loop {
        let page = app.get(&ada, &path).await.is(200);
        seen.extend(ids(page["data"].as_array().expect("data")));
        let Some(next) = page["next"].as_str() else { break };
        path = next.to_owned();
        client.say(chats[moving], "moved meanwhile").await;
        moving += 1;
    }
    // Downwards, what has not been seen yet and moves up is missed by no one who lists again.
    for (i, chat) in chats.iter().enumerate().skip(moving) {
        assert!(seen.contains(chat), "chat {i} stood still and was not listed");
    }
}

async fn a_customer_lists_the_own_chats(app: TestApp) {
    let (kims, _) = (chat_of(&app, "kim", 2).await, chat_of(&app, "lee", 1).await);
    let mut list = app.list(&customer("kim"), "/chats").await;
    assert_eq!((list.len(), &list[0]["id"]), (1, &json!(kims)));
    assert_eq!(list[0]["members"].as_array().map(Vec::len), Some(1));
    assert!(list[0]["members"][0].get("email").is_none(), "email is for admins");
    let mut one = app.get(&customer("kim"), &format!("/chats/{kims}")).await.is(200);
    for shown in [&mut one, &mut list[0]] {
        // Kim has just gone, which one node knows before the other.
        assert!(shown["online"].take().is_array(), "{shown}");
    }
    assert_eq!(one, list[0]);
}

async fn the_chats_of_a_user_are_listed_for_admins(app: TestApp) {
    let mut ada = app.connect(&admin("ada")).await;
    let mut kim = app.connect(&customer("kim")).await;
    let lee = app.connect(&customer("lee")).await;
    kim.say(kim.chat(), "hello").await;
    let ids = json!([kim.user_id(), lee.user_id()]);
    let group = ada.ask("create_chat", json!({"userIds": ids, "title": "Returns"})).await;
    let of = async |client: i64, query: &str| {
        let chats = app.list(&admin("bo"), &format!("/users/{client}/chats{query}")).await;
        chats.iter().map(|chat| chat["id"].clone()).collect::<Vec<_>>()
    };
    let (own, group) = (json!(kim.chat()), group["id"].clone());
    assert_eq!(of(kim.user_id(), "").await, [group.clone(), own.clone()]);
    assert_eq!(of(kim.user_id(), "?limit=1&order=asc").await, [own.clone(), group.clone()]);
    assert_eq!(of(lee.user_id(), "?limit=1").await, [group.clone(), json!(lee.chat())]);
    // Ada is in the group alone; Bo, who asks, in none.
    assert_eq!(of(ada.user_id(), "").await, [group]);
    let path = format!("/users/{}/chats", kim.user_id());
    let page = app.get(&admin("bo"), &path).await.is(200);
    assert_eq!((&page["data"][1]["unread"], &page["data"][1]["readSeq"]), (&json!(1), &json!(0)));
    app.get(&customer("kim"), &path).await.problem(403, "forbidden");
    app.get(&admin("bo"), "/users/987654/chats").await.problem(404, "user_not_found");
    app.get(&admin("bo"), &format!("{path}?limit=0")).await.problem(400, "bad_request");
}

async fn a_cursor_that_was_tampered_with_is_refused(app: TestApp) {
    let (ada, chat) = (admin("ada"), chat_of(&app, "kim", 10).await);
    chat_of(&app, "lee", 1).await;
    app.get(&ada, "/users/me").await.is(200);
    for list in [
        format!("/chats/{chat}/messages?limit=2"),
        "/chats?limit=1".into(),
        "/users?limit=1".into(),
    ] {
        let page = app.get(&ada, &list).await.is(200);
        let cursor = page["cursor"]["after"].as_str().expect("there is more").to_owned();
        app.get(&ada, &format!("{list}&after={cursor}")).await.is(200);
        for at in 0..cursor.len() {
            let mut tampered = cursor.clone().into_bytes();
            tampered[at] = if tampered[at] == b'A' { b'B' } else { b'A' };
            let tampered = String::from_utf8(tampered).expect("a cursor can stand in a URL");
            let reply = app.get(&ada, &format!("{list}&after={tampered}")).await;
            assert_eq!(reply.status, 400, "{cursor} as {tampered}: {}", reply.text);
            reply.problem(400, "bad_request");
        }
        let (cut, _) = cursor.split_at(cursor.len() - 1);
        app.get(&ada, &format!("{list}&after={cut}")).await.problem(400, "bad_request");
        app.get(&ada, &format!("{list}&after={cursor}A")).await.problem(400, "bad_request");
    }
}

async fn a_cursor_belongs_to_its_list_and_order(app: TestApp) {
    let ada = admin("ada");
    let (one, two) = (chat_of(&app, "kim", 5).await, chat_of(&app, "lee", 5).await);
    app.get(&ada, "/users/me").await.is(200);
    let lists = [
        format!("/chats/{one}/messages?limit=1&order=desc"),
        format!("/chats/{one}/messages?limit=1&order=asc"),
        format!("/chats/{two}/messages?limit=1&order=desc"),
        "/chats?limit=1&order=desc".into(),
        "/chats?limit=1&order=asc".into(),
        "/users?limit=1".into(),
    ];
    for (i, from) in lists.iter().enumerate() {
        let page = app.get(&ada, from).await.is(200);
        let cursor = page["cursor"]["after"].as_str().expect("there is more").to_owned();
        for (k, to) in lists.iter().enumerate() {
            let reply = app.get(&ada, &format!("{to}&after={cursor}")).await;
            assert_eq!(
                reply.status,
                if i == k { 200 } else { 400 },
                "the cursor of {from} in {to}"
            );
        }
    }
    // Nor does one admin's serve a customer for what is not theirs.
    let page = app.get(&ada, &lists[2]).await.is(200);
    let next = page["next"].as_str().expect("there is more");
    app.get(&customer("kim"), next).await.problem(404, "chat_not_found");
}

async fn users_are_found_by_what_is_known_of_them(app: TestApp) {
    let ada = admin("ada");
    for name in ["kim", "kimberly", "lee"] {
        app.connect(&customer(name)).await;
    }
    let found = async |query: &str| -> Vec<String> {
        let users = app.list(&ada, &format!("/users?limit=2{query}")).await;
        let mut names: Vec<_> = users
            .iter()
            .map(|user| user["subject"].as_str().unwrap_or_default().to_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(found("").await, ["ada", "kim", "kimberly", "lee"]);
    assert_eq!(found("&subject=kim").await, ["kim"]);
    assert_eq!(found("&q=kim").await, ["kim", "kimberly"]);
    assert_eq!(found("&q=KIMB").await, ["kimberly"]);
    assert_eq!(found("&q=lee%40example").await, ["lee"]);
    assert!(found("&subject=nobody").await.is_empty());
    // What the database's patterns are made of is text like any other.
    assert!(found("&q=%25").await.is_empty());
    assert!(found("&q=k_m").await.is_empty());
    assert!(found("&q=%27%20OR%201%3D1").await.is_empty());
}

async fn users_are_found_in_any_case_of_any_letter(app: TestApp) {
    let ada = admin("ada");
    for name in ["élodie", "жук", "straße"] {
        app.connect(&customer(name)).await;
    }
    let body = json!({"subject": "7", "nickname": "ÅSA ÖRN", "email": "ÅSA@example.org"});
    app.post(&ada, "/users", body).await.is(201);
    let found = async |query: &str| -> Vec<Value> {
        let users = app.list(&ada, &format!("/users?q={query}")).await;
        users.into_iter().map(|mut user| user["subject"].take()).collect()
    };
    for (query, subject) in [
        ("ÉLOD", "élodie"),
        ("Élod", "élodie"),
        ("ЖУК", "жук"),
        ("жУк", "жук"),
        ("STRAß", "straße"),
        ("åsa örn", "7"),
        ("åsa@", "7"),
    ] {
        assert_eq!(found(query).await, [subject], "{query}");
    }
    // Letter by letter: an accent of its own is another letter, and ß is not ss.
    for query in ["e\u{301}lod", "strass"] {
        assert!(found(query).await.is_empty(), "{query}");
    }
}
