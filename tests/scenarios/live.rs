//! Live states: typing, presence, and read marks as others see them.

use std::time::Duration;

use frontdesk::domain::Timings;

use crate::support::{TestApp, Value, admin, assert_time, customer, eventually, json, scenarios};

scenarios! {
    the_others_in_the_room_see_who_types,
    an_admin_types_without_having_entered,
    typing_in_a_chat_that_one_may_not_see_is_refused,
    typing_ends_by_itself,
    the_others_see_how_far_one_has_read,
    a_readers_other_devices_see_the_mark_in_the_room_or_not,
    a_mark_that_does_not_rise_is_no_news,
    sending_is_not_announced_as_reading,
    welcome_and_entering_say_who_has_read_how_far,
    a_customer_is_online_for_those_in_the_room ["limits.presence_grace_ms" = 50],
    a_reload_shows_nothing ["limits.presence_grace_ms" = 60_000],
    who_is_online_is_known_wherever_one_asks ["limits.presence_grace_ms" = 0],
    people_of_a_group_see_each_other ["limits.presence_grace_ms" = 0],
    a_large_group_shows_nobody,
    admins_see_who_views_a_chat_and_customers_never_do,
    the_end_of_a_session_ends_its_view,
    what_is_viewed_is_a_chat_that_one_may_see,
    an_admin_sees_when_a_user_was_last_here ["limits.presence_grace_ms" = 0],
}

async fn the_others_in_the_room_see_who_types(app: TestApp) {
    let person = customer("kim");
    let mut kim = app.connect(&person).await;
    let mut tablet = app.connect(&person).await;
    let mut ada = app.connect(&admin("ada")).await;
    let chat = kim.chat();
    ada.enter(chat).await;
    for typing in [true, true, false] {
        let data = json!({"chatId": chat, "typing": typing});
        assert_eq!(kim.ask("typing", data).await, json!({}));
        let heard = ada.expect("typing").await;
        assert_eq!(heard, json!({"chatId": chat, "userId": kim.user_id(), "typing": typing}));
    }
    // Not on one's own devices.
    tablet.has_not_heard("typing").await;
    kim.has_not_heard("typing").await;
}

async fn an_admin_types_without_having_entered(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    let mut ada = app.connect(&admin("ada")).await;
    let chat = kim.chat();
    ada.ask("typing", json!({"chatId": chat, "typing": true})).await;
    let heard = kim.expect("typing").await;
    assert_eq!(heard, json!({"chatId": chat, "userId": ada.user_id(), "typing": true}));
}

async fn typing_in_a_chat_that_one_may_not_see_is_refused(app: TestApp) {
    let kim = app.connect(&customer("kim")).await;
    let mut lee = app.connect(&customer("lee")).await;
    let other = kim.chat();
    lee.refused("typing", json!({"chatId": other, "typing": true}), "chat_not_found").await;
    lee.refused("typing", json!({"chatId": 999_999, "typing": true}), "chat_not_found").await;
    let own = lee.chat();
    lee.refused("typing", json!({"chatId": own, "typing": "yes"}), "bad_request").await;
    lee.refused("typing", json!({"typing": true}), "bad_request").await;
}

async fn typing_ends_by_itself(app: TestApp) {
    let short = Timings { typing: Duration::from_millis(50), ..Timings::default() };
    let app = app.with_timings(short).await;
    let mut kim = app.connect(&customer("kim")).await;
    let mut ada = app.connect(&admin("ada")).await;
    let chat = kim.chat();
    ada.enter(chat).await;
    kim.ask("typing", json!({"chatId": chat, "typing": true})).await;
    kim.close().await;
    assert_eq!(ada.expect("typing").await["typing"], true);
    assert_eq!(ada.expect("typing").await["typing"], false);
}

async fn the_others_see_how_far_one_has_read(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    let agent = admin("ada");
    let mut ada = app.connect(&agent).await;
    let chat = kim.chat();
    for text in ["one", "two", "three"] {
        kim.say(chat, text).await;
    }
    ada.enter(chat).await;
    ada.ask("read_message", json!({"chatId": chat, "seq": 2})).await;
    let heard = kim.expect("message_read").await;
    assert_eq!(heard, json!({"chatId": chat, "userId": ada.user_id(), "seq": 2}));
    app.put(&agent, &format!("/chats/{chat}/read"), json!({"seq": 99})).await.is(200);
    assert_eq!(kim.expect("message_read").await["seq"], 3, "the end, not beyond it");
    // By HTTP there is no session that knows already.
    assert_eq!(ada.expect("message_read").await["seq"], 3);
}

async fn a_readers_other_devices_see_the_mark_in_the_room_or_not(app: TestApp) {
    let kim = app.connect(&customer("kim")).await;
    let agent = admin("ada");
    let mut laptop = app.connect(&agent).await;
    let mut phone = app.connect(&agent).await;
    let mut tablet = app.connect(&agent).await;
    let chat = kim.chat();
    laptop.say(chat, "hello").await;
    let mut kim = kim;
    kim.say(chat, "hello back").await;
    phone.enter(chat).await;
    laptop.ask("read_message", json!({"chatId": chat, "seq": 2})).await;
    let mark = json!({"chatId": chat, "userId": laptop.user_id(), "seq": 2});
    assert_eq!(phone.expect("message_read").await, mark);
    assert_eq!(tablet.expect("message_read").await, mark);
    laptop.has_not_heard("message_read").await;
}

async fn a_mark_that_does_not_rise_is_no_news(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    let mut ada = app.connect(&admin("ada")).await;
    let chat = kim.chat();
    for text in ["one", "two", "three"] {
        kim.say(chat, text).await;
    }
    for seq in [2, 2, 1, 0, 3] {
        ada.ask("read_message", json!({"chatId": chat, "seq": seq})).await;
    }
    let heard: Vec<_> = [kim.expect("message_read").await, kim.expect("message_read").await].into();
    assert_eq!(heard.iter().map(|mark| &mark["seq"]).collect::<Vec<_>>(), [2, 3]);
    kim.has_not_heard("message_read").await;
}

async fn sending_is_not_announced_as_reading(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    let mut ada = app.connect(&admin("ada")).await;
    let chat = kim.chat();
    ada.say(chat, "hello").await;
    kim.hears("hello").await;
    kim.has_not_heard("message_read").await;
}

async fn welcome_and_entering_say_who_has_read_how_far(app: TestApp) {
    let person = customer("kim");
    let mut kim = app.connect(&person).await;
    let mut ada = app.connect(&admin("ada")).await;
    let chat = kim.chat();
    assert_eq!(kim.welcome["chats"][0]["reads"], json!([]));
    for text in ["one", "two", "three"] {
        kim.say(chat, text).await;
    }
    ada.ask("read_message", json!({"chatId": chat, "seq": 2})).await;
    let (by_kim, by_ada) =
        (json!({"userId": kim.user_id(), "seq": 3}), json!({"userId": ada.user_id(), "seq": 2}));
    let entered = ada.enter(chat).await;
    assert_eq!(entered["reads"], json!([by_kim, by_ada]));
    let again = app.connect(&person).await;
    assert_eq!(again.welcome["chats"][0]["reads"], json!([by_kim, by_ada]));
}

async fn a_customer_is_online_for_those_in_the_room(app: TestApp) {
    let person = customer("kim");
    let kim = app.connect(&person).await;
    let (id, chat) = (kim.user_id(), kim.chat());
    assert_eq!(kim.welcome["chats"][0]["online"], json!([id]));
    let mut ada = app.connect(&admin("ada")).await;
    assert_eq!(ada.enter(chat).await["online"], json!([id]));
    kim.close().await;
    let offline = json!({"chatId": chat, "userId": id, "online": false});
    assert_eq!(ada.expect("presence").await, offline);
    assert_eq!(ada.enter(chat).await["online"], json!([]));
    let mut kim = app.connect(&person).await;
    let online = json!({"chatId": chat, "userId": id, "online": true});
    assert_eq!(ada.expect("presence").await, online);
    // An admin is no member, and nobody's own presence is news.
    kim.has_not_heard("presence").await;
}

async fn a_reload_shows_nothing(app: TestApp) {
    let person = customer("kim");
    let kim = app.connect(&person).await;
    let chat = kim.chat();
    let mut ada = app.connect(&admin("ada")).await;
    ada.enter(chat).await;
    kim.close().await;
    // Between two pages.
    assert_eq!(ada.enter(chat).await["online"].as_array().map(Vec::len), Some(1));
    let mut kim = app.connect(&person).await;
    let mut tablet = app.connect(&person).await;
    tablet.say(chat, "hello").await;
    tablet.close().await;
    kim.say(chat, "still here").await;
    ada.hears("hello").await;
    ada.hears("still here").await;
    ada.has_not_heard("presence").await;
}

async fn who_is_online_is_known_wherever_one_asks(app: TestApp) {
    let (person, agent) = (customer("kim"), admin("ada"));
    let kim = app.connect(&person).await;
    let (id, chat) = (kim.user_id(), kim.chat());
    let is_online = async |online: Value| {
        eventually(&format!("{online} are online"), || async {
            let shown = app.get(&agent, &format!("/chats/{chat}")).await.is(200);
            let listed = app.get(&agent, "/chats").await.is(200);
            let shown = [&shown["online"], &listed["data"][0]["online"]];
            (shown == [&online, &online]).then_some(())
        })
        .await;
    };
    is_online(json!([id])).await;
    kim.close().await;
    is_online(json!([])).await;
}

async fn people_of_a_group_see_each_other(app: TestApp) {
    let (person, other) = (customer("kim"), customer("lee"));
    let mut kim = app.connect(&person).await;
    let lee = app.connect(&other).await;
    let mut ada = app.connect(&admin("ada")).await;
    let ids = [kim.user_id(), lee.user_id(), ada.user_id()];
    let group = ada.ask("create_chat", json!({"userIds": [ids[0], ids[1]]})).await;
    let chat = group["id"].as_i64().expect("an id");
    let shown = group["online"].as_array().expect("ids").clone();
    for id in ids.into_iter().filter(|id| !shown.contains(&json!(id))) {
        // They came to another node a moment ago.
        let online = json!({"chatId": chat, "userId": id, "online": true});
        assert_eq!(ada.expect("presence").await, online);
    }
    kim.expect("chat_created").await;
    lee.close().await;
    let offline = json!({"chatId": chat, "userId": ids[1], "online": false});
    // That the others are online may be said once more while they enter.
    for client in [&mut kim, &mut ada] {
        while client.expect("presence").await != offline {}
    }
    let lee = app.connect(&other).await;
    let shown = lee.welcomed_to(chat).expect("the group");
    assert_eq!(shown["online"], json!(ids));
    assert_eq!(kim.expect("presence").await["online"], true);
}

async fn a_large_group_shows_nobody(app: TestApp) {
    let mut ada = app.connect(&admin("ada")).await;
    let mut users = Vec::new();
    for n in 0..100 {
        let user = app.post(&admin("ada"), "/users", json!({"subject": format!("s{n}")})).await;
        users.push(user.is(201)["id"].as_i64().expect("an id"));
    }
    let small = ada.ask("create_chat", json!({"userIds": users[1..]})).await;
    let large = ada.ask("create_chat", json!({"userIds": users})).await;
    assert_eq!(small["online"], json!([ada.user_id()]));
    assert!(large.get("online").is_none(), "{large}");
    assert_eq!(large["members"].as_array().map(Vec::len), Some(100));
    for (chat, is_shown) in [(&small, true), (&large, false)] {
        let entered = ada.enter(chat["id"].as_i64().expect("an id")).await;
        assert_eq!(entered.get("online").is_some(), is_shown, "{entered}");
        assert_eq!(entered.get("reads").is_some(), is_shown, "{entered}");
    }
}

/// The ids of the viewers in an event.
fn viewers(event: &Value) -> Vec<i64> {
    let users = event["users"].as_array().expect("users");
    users.iter().map(|user| user["id"].as_i64().expect("an id")).collect()
}

async fn admins_see_who_views_a_chat_and_customers_never_do(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    let chat = kim.chat();
    let mut ada = app.connect(&admin("ada")).await;
    let mut bob = app.connect(&admin("bob")).await;
    let mut watcher = app.connect(&admin("cleo")).await;
    watcher.ask("watch_chats", json!({"watch": true})).await;
    ada.enter(chat).await;
    let now = ada.expect("viewers").await;
    assert_eq!(now, json!({"chatId": chat, "users": []}), "once, to who enters");
    assert_eq!(bob.ask("view_chat", json!({"chatId": chat})).await, json!({}));
    let shown = json!({"chatId": chat, "users": [{"id": bob.user_id(), "nickname": "Bob"}]});
    for client in [&mut ada, &mut bob, &mut watcher] {
        assert_eq!(client.expect("viewers").await, shown);
    }
    ada.ask("view_chat", json!({"chatId": chat})).await;
    let both = [ada.user_id(), bob.user_id()];
    for client in [&mut ada, &mut watcher] {
        assert_eq!(viewers(&client.expect("viewers").await), both, "the own user included");
    }
    bob.ask("view_chat", json!({"chatId": null})).await;
    assert_eq!(viewers(&ada.expect("viewers").await), [ada.user_id()]);
    bob.has_not_heard("viewers").await;
    kim.has_not_heard("viewers").await;
}

async fn the_end_of_a_session_ends_its_view(app: TestApp) {
    let kim = app.connect(&customer("kim")).await;
    let chat = kim.chat();
    let mut ada = app.connect(&admin("ada")).await;
    ada.enter(chat).await;
    ada.expect("viewers").await;
    let agent = admin("bob");
    let mut laptop = app.connect(&agent).await;
    let mut phone = app.connect(&agent).await;
    for client in [&mut laptop, &mut phone] {
        client.ask("view_chat", json!({"chatId": chat})).await;
        assert_eq!(viewers(&client.expect("viewers").await), [client.user_id()]);
    }
    assert_eq!(viewers(&ada.expect("viewers").await), [laptop.user_id()]);
    laptop.close().await;
    phone.close().await;
    assert_eq!(viewers(&ada.expect("viewers").await), [0; 0], "once, with the last screen");
    ada.has_not_heard("viewers").await;
}

async fn what_is_viewed_is_a_chat_that_one_may_see(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    let mut ada = app.connect(&admin("ada")).await;
    let chat = kim.chat();
    kim.refused("view_chat", json!({"chatId": chat}), "forbidden").await;
    ada.refused("view_chat", json!({"chatId": 999_999}), "chat_not_found").await;
    ada.refused("view_chat", json!({}), "bad_request").await;
}

async fn an_admin_sees_when_a_user_was_last_here(app: TestApp) {
    let (mut app, person, agent) = (app, customer("kim"), admin("ada"));
    let new = app.post(&agent, "/users", json!({"subject": "lee"})).await.is(201);
    let path = format!("/users/{}", new["id"]);
    let never = app.get(&agent, &path).await.is(200);
    assert_eq!((&never["online"], &never["lastSeenAt"]), (&json!(false), &Value::Null));
    assert_eq!(never["subject"], "lee");

    let kim = app.connect(&person).await;
    let path = format!("/users/{}", kim.user_id());
    // Any node may be asked, and those that kim is not on hear of it a moment later.
    let here = eventually("kim is online", || async {
        let here = app.get(&agent, &path).await.is(200);
        (here["online"] == true).then_some(here)
    })
    .await;
    assert_time(&here["lastSeenAt"]);
    kim.close().await;
    let last = eventually("kim was seen, and is gone", || async {
        let gone = app.get(&agent, &path).await.is(200);
        (gone["online"] == false && gone["lastSeenAt"].is_string()).then_some(gone)
    })
    .await;
    assert!(last["lastSeenAt"].as_str() >= here["lastSeenAt"].as_str());
    // It is kept, also for those whose sessions the end of the server ends.
    let kim = app.connect(&person).await;
    app.restart().await;
    drop(kim);
    let after = app.get(&agent, &path).await.is(200);
    assert!(after["lastSeenAt"].as_str() > last["lastSeenAt"].as_str(), "{after}");

    app.get(&agent, "/users/999999").await.problem(404, "user_not_found");
    app.get(&person, &path).await.problem(403, "forbidden");
}
