//! Operation by admins: live sessions and rooms on all nodes, and the descriptions of the API.

use reqwest::Method;

use crate::support::{
    Reply, TestApp, Value, admin, all, customer, eventually, json, postgres_scenarios, scenarios,
};

scenarios! {
    admins_see_who_is_live_and_end_a_session,
    a_session_that_watches_and_its_chats_are_shown,
    what_is_live_is_for_admins_alone,
    the_descriptions_are_served,
}

postgres_scenarios! {
    sessions_and_rooms_of_all_nodes_are_listed,
}

async fn sessions(app: &TestApp, query: &str) -> Vec<Value> {
    let listed = app.get(&admin("ada"), &format!("/admin/sessions{query}")).await.is(200);
    assert_eq!(listed["truncated"], false, "{listed}");
    let data = listed["data"].as_array().expect("a list").clone();
    assert_eq!(listed["count"], data.len());
    data
}

async fn end(app: &TestApp, session: &str) -> Reply {
    let path = format!("/admin/sessions/{session}");
    app.send(app.request_of(&admin("ada"), Method::DELETE, &path)).await
}

async fn admins_see_who_is_live_and_end_a_session(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    let mut lee = app.connect(&customer("lee")).await;
    let user = kim.user_id();
    let mine = sessions(&app, &format!("?userId={user}")).await;
    assert_eq!(mine.len(), 1);
    assert_eq!((&mine[0]["id"], &mine[0]["userId"]), (&json!(kim.session_id()), &json!(user)));
    assert_eq!((&mine[0]["role"], &mine[0]["chats"]), (&json!("customer"), &json!([kim.chat()])));
    assert_eq!((&mine[0]["waitingEvents"], &mine[0]["watches"]), (&json!(0), &json!(false)));
    assert_eq!(sessions(&app, "").await.len(), 2);
    let id = kim.session_id().to_owned();
    assert_eq!(end(&app, &id).await.status, 204);
    assert_eq!(kim.expect("goodbye").await["reason"], "signed_out");
    assert_eq!(kim.closed().await, 4410);
    lee.say(lee.chat(), "others are not touched").await;
    eventually("it is listed no more", || async {
        (sessions(&app, "").await.len() == 1).then_some(())
    })
    .await;
    end(&app, "nonsense").await.problem(400, "bad_request");
    // Of no node that there is.
    end(&app, "00000000000040008000000000000000").await.problem(404, "session_not_found");
}

async fn a_session_that_watches_and_its_chats_are_shown(app: TestApp) {
    let kim = app.connect(&customer("kim")).await;
    let mut ada = app.connect(&admin("ada")).await;
    ada.enter(kim.chat()).await;
    ada.ask("watch_chats", json!({"watch": true})).await;
    let listed = eventually("it watches", || async {
        let listed = sessions(&app, &format!("?userId={}", ada.user_id())).await;
        (listed[0]["watches"] == true).then_some(listed)
    })
    .await;
    assert_eq!(listed[0]["chats"], json!([kim.chat()]));
    let rooms = app.get(&admin("ada"), "/admin/rooms").await.is(200);
    let here = rooms["data"].as_array().expect("a list").iter();
    let count: i64 = here
        .filter(|room| room["chatId"] == kim.chat())
        .map(|room| room["sessions"].as_i64().expect("a number"))
        .sum();
    assert_eq!(count, 2, "{rooms}");
}

async fn what_is_live_is_for_admins_alone(app: TestApp) {
    let kim = app.connect(&customer("kim")).await;
    let who = customer("kim");
    for path in ["/admin/sessions", "/admin/rooms", "/admin/keys"] {
        app.get(&who, path).await.problem(403, "forbidden");
    }
    let path = format!("/admin/sessions/{}", kim.session_id());
    app.send(app.request_of(&who, Method::DELETE, &path)).await.problem(403, "forbidden");
}

async fn the_descriptions_are_served(app: TestApp) {
    for (path, key, version) in
        [("/openapi.json", "openapi", "3.1.0"), ("/asyncapi.json", "asyncapi", "3.0.0")]
    {
        let served = app.send(app.request(Method::GET, path)).await.is(200);
        assert_eq!(served[key], version);
        let printed = app.operate(&[key], "");
        assert_eq!(serde_json::from_str::<Value>(&printed.text).expect("JSON"), served);
    }
}

async fn sessions_and_rooms_of_all_nodes_are_listed(app: TestApp) {
    let other = app.another_node().await;
    eventually("they know each other", || async {
        (other.metric("frontdesk_peers").await >= 1.0).then_some(())
    })
    .await;
    let kim = customer("kim");
    let mut connected = all([app.connect(&kim), other.connect(&kim)]).await;
    let chat = connected[0].chat();
    let listed = eventually("both are listed", || async {
        let listed = sessions(&app, &format!("?userId={}", connected[0].user_id())).await;
        (listed.len() == 2).then_some(listed)
    })
    .await;
    assert_ne!(listed[0]["node"], listed[1]["node"]);
    let rooms = app.get(&admin("ada"), "/admin/rooms").await.is(200);
    let here = rooms["data"].as_array().expect("a list").iter();
    assert_eq!(here.filter(|room| room["chatId"] == chat).count(), 2, "{rooms}");
    for session in &mut connected {
        assert_eq!(end(&app, session.session_id()).await.status, 204);
        assert_eq!(session.closed().await, 4410);
    }
}
