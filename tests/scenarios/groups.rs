//! Group chats: made by an admin, for the people named.

use crate::support::{
    TestApp, TestClient, Value, admin, assert_keys, assert_time, customer, json, scenarios,
};

scenarios! {
    a_group_is_told_to_all_its_members,
    the_members_of_a_new_group_are_in_its_room,
    a_group_of_more_than_are_shown_reaches_all_of_them,
    the_maker_hears_of_the_group_on_the_other_devices_alone,
    a_group_needs_people_that_exist,
    a_group_may_name_someone_twice,
    a_session_leaves_a_group_and_its_user_stays,
    a_group_is_seen_by_its_members_and_by_admins_alone,
    welcome_has_the_hundred_latest_active_chats,
}

/// Makes a group of these people.
async fn group(maker: &mut TestClient, members: &[&TestClient], title: &str) -> Value {
    let ids: Vec<_> = members.iter().map(|member| member.user_id()).collect();
    maker.ask("create_chat", json!({"userIds": ids, "title": title})).await
}

fn id(chat: &Value) -> i64 {
    chat["id"].as_i64().expect("a chat has an id")
}

async fn a_group_is_told_to_all_its_members(app: TestApp) {
    let mut ada = app.connect(&admin("ada")).await;
    let mut bob = app.connect(&admin("bob")).await;
    let mut kim = app.connect(&customer("kim")).await;
    let mut lee = app.connect(&customer("lee")).await;
    let chat = group(&mut ada, &[&bob, &kim], "Returns").await;
    let fields =
        ["id", "kind", "title", "lastSeq", "lastMessage", "members", "createdAt", "updatedAt"];
    let read = ["readSeq", "unread", "online"];
    assert_keys(&chat, &[fields.as_slice(), &read].concat());
    assert_eq!((&chat["kind"], &chat["title"]), (&json!("group"), &json!("Returns")));
    assert_eq!((&chat["lastSeq"], &chat["unread"]), (&json!(0), &json!(0)));
    assert_time(&chat["createdAt"]);
    let mut members: Vec<_> = chat["members"].as_array().expect("members").iter().map(id).collect();
    members.sort_unstable();
    let mut expected = [ada.user_id(), bob.user_id(), kim.user_id()];
    expected.sort_unstable();
    assert_eq!(members, expected, "the maker is a member too");

    let to_kim = kim.expect("chat_created").await;
    assert_keys(&to_kim, &fields);
    assert_eq!(to_kim["id"], chat["id"]);
    for member in to_kim["members"].as_array().expect("members") {
        assert_keys(member, &["id", "nickname", "role"]);
    }
    assert_eq!(bob.expect("chat_created").await["id"], chat["id"]);
    lee.has_not_heard("chat_created").await;
}

async fn a_group_of_more_than_are_shown_reaches_all_of_them(app: TestApp) {
    let mut ada = app.connect(&admin("ada")).await;
    let mut members = Vec::new();
    for i in 0..130 {
        members.push(app.connect(&customer(&format!("member-{i}"))).await);
    }
    let chat = id(&group(&mut ada, &members.iter().collect::<Vec<_>>(), "All hands").await);
    ada.say(chat, "welcome, all").await;
    for member in &mut members {
        assert_eq!(id(&member.expect("chat_created").await), chat);
        member.hears("welcome, all").await;
    }
}

async fn the_members_of_a_new_group_are_in_its_room(app: TestApp) {
    let mut ada = app.connect(&admin("ada")).await;
    let mut kim = app.connect(&customer("kim")).await;
    let mut lee = app.connect(&customer("lee")).await;
    let chat = id(&group(&mut ada, &[&kim, &lee], "Returns").await);
    ada.say(chat, "welcome, all").await;
    for client in [&mut kim, &mut lee] {
        assert_eq!(id(&client.expect("chat_created").await), chat);
        client.hears("welcome, all").await;
    }
    kim.say(chat, "thank you").await;
    ada.hears("thank you").await;
    lee.hears("thank you").await;
    for client in [&mut ada, &mut kim, &mut lee] {
        assert_eq!(client.run_to(chat, 2).await, [1, 2]);
    }

    let again = app.connect(&customer("kim")).await;
    let chats = again.welcome["chats"].as_array().expect("chats");
    assert_eq!(chats.len(), 2, "the own chat and the group");
    assert_eq!(again.welcomed_to(chat).expect("the group")["lastSeq"], 2);
    let ada = app.connect(&admin("ada")).await;
    assert!(ada.welcomed_to(chat).is_some(), "an admin's groups are in welcome");
}

async fn the_maker_hears_of_the_group_on_the_other_devices_alone(app: TestApp) {
    let mut desktop = app.connect(&admin("ada")).await;
    let mut phone = app.connect(&admin("ada")).await;
    desktop.ask("watch_chats", json!({"watch": true})).await;
    let kim = app.connect(&customer("kim")).await;
    assert_eq!(desktop.expect("chat_created").await["id"], kim.chat());
    let chat = group(&mut desktop, &[&kim], "Returns").await;
    assert_eq!(phone.expect("chat_created").await["id"], chat["id"]);
    desktop.has_not_heard("chat_created").await;
    phone.has_not_heard("chat_created").await;
    phone.say(id(&chat), "from the phone").await;
    desktop.hears("from the phone").await;
}

async fn a_group_needs_people_that_exist(app: TestApp) {
    let mut ada = app.connect(&admin("ada")).await;
    let kim = app.connect(&customer("kim")).await;
    let with_nobody = json!({"userIds": [kim.user_id(), 999_999]});
    ada.refused("create_chat", with_nobody, "user_not_found").await;
    app.post(&admin("ada"), "/chats", json!({"userIds": [999_999]}))
        .await
        .problem(404, "user_not_found");
    assert_eq!(app.list(&admin("ada"), "/chats").await.len(), 1, "kim's own chat alone");
}

async fn a_group_may_name_someone_twice(app: TestApp) {
    let mut ada = app.connect(&admin("ada")).await;
    let kim = app.connect(&customer("kim")).await;
    let chat = group(&mut ada, &[&kim, &kim], "Returns").await;
    assert_eq!(chat["members"].as_array().map(Vec::len), Some(2));
}

async fn a_session_leaves_a_group_and_its_user_stays(app: TestApp) {
    let mut ada = app.connect(&admin("ada")).await;
    let mut desktop = app.connect(&customer("kim")).await;
    let mut phone = app.connect(&customer("kim")).await;
    let chat = id(&group(&mut ada, &[&desktop], "Returns").await);
    desktop.expect("chat_created").await;
    assert_eq!(desktop.ask("leave_chat", json!({"chatIds": [chat]})).await, json!({}));
    ada.say(chat, "who is here?").await;
    phone.hears("who is here?").await;
    desktop.has_not_heard("receive_message").await;

    let mut again = app.connect(&customer("kim")).await;
    ada.say(chat, "and now?").await;
    again.hears("and now?").await;
    desktop.has_not_heard("receive_message").await;
    desktop.enter(chat).await;
    ada.say(chat, "all three?").await;
    desktop.hears("all three?").await;
}

async fn a_group_is_seen_by_its_members_and_by_admins_alone(app: TestApp) {
    let mut ada = app.connect(&admin("ada")).await;
    let kim = app.connect(&customer("kim")).await;
    let mut lee = app.connect(&customer("lee")).await;
    let chat = id(&group(&mut ada, &[&kim], "Returns").await);
    lee.refused("enter_chat", json!({"chatIds": [chat]}), "chat_not_found").await;
    app.get(&customer("kim"), &format!("/chats/{chat}")).await.is(200);
    app.get(&customer("lee"), &format!("/chats/{chat}")).await.problem(404, "chat_not_found");
    let mut bob = app.connect(&admin("bob")).await;
    bob.enter(chat).await;
    ada.say(chat, "admins see all").await;
    bob.hears("admins see all").await;
    let seen = app.get(&admin("bob"), &format!("/chats/{chat}")).await.is(200);
    assert_eq!(seen["members"].as_array().map(Vec::len), Some(2), "who enters is no member");
}

async fn welcome_has_the_hundred_latest_active_chats(app: TestApp) {
    let ada = admin("ada");
    let mut client = app.connect(&ada).await;
    let kim = app.connect(&customer("kim")).await;
    let mut chats = Vec::new();
    for i in 0..101 {
        let group = json!({"userIds": [kim.user_id()], "title": format!("Group {i}")});
        chats.push(id(&app.post(&ada, "/chats", group).await.is(201)));
    }
    // Each is active, the first one last.
    for chat in chats.iter().rev() {
        client.say(*chat, "active").await;
    }
    let mut again = app.connect(&ada).await;
    let welcomed = again.welcome["chats"].as_array().expect("chats").len();
    assert_eq!(welcomed, 100);
    let last = chats[100];
    assert!(again.welcomed_to(last).is_none(), "the one whose activity is longest ago");
    again.enter(last).await;
    client.say(last, "entered when asked for").await;
    // A node that is behind tells of what was said before, too.
    while again.expect("receive_message").await["message"] != "entered when asked for" {}
}
