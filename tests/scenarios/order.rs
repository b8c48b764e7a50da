//! Order: everybody sees the same messages in the same places, own acks counted.

use std::collections::HashSet;

use crate::support::{
    Node, TestApp, TestClient, admin, all, assert_run, customer, json, postgres_scenarios,
    scenarios,
};

scenarios! {
    however_many_write_everybody_sees_one_run,
    one_session_is_answered_in_the_order_it_asked,
    what_many_write_in_many_chats_stays_in_its_chat,
}

postgres_scenarios! {
    on_two_nodes_everybody_sees_one_run,
    two_processes_see_each_others_messages on one node "its servers are processes of their own",
}

/// Has each of `clients` write `each` messages into `chat`, all in flight at once, and asserts that
/// every one of them sees the run from 1 to the end.
async fn all_write(clients: &mut [TestClient], chat: i64, each: usize) {
    let last = (clients.len() * each) as i64;
    let runs = all(clients.iter_mut().enumerate().map(|(who, client)| async move {
        for i in 0..each {
            let data = json!({"chatId": chat, "message": format!("{who}/{i}")});
            client.submit("send_message", data).await;
        }
        client.run_to(chat, last).await
    }))
    .await;
    for run in runs {
        assert_run(&run, 1, last);
    }
}

/// Sessions of the customer and of some admins, in the customer's chat.
async fn in_one_room(nodes: &[&Node]) -> (Vec<TestClient>, i64) {
    let mut clients = Vec::new();
    for node in nodes {
        for _ in 0..2 {
            clients.push(node.connect(&customer("kim")).await);
        }
    }
    let chat = clients[0].chat();
    for (i, node) in nodes.iter().cycle().take(6).enumerate() {
        let mut agent = node.connect(&admin(&format!("agent-{i}"))).await;
        agent.enter(chat).await;
        clients.push(agent);
    }
    (clients, chat)
}

async fn however_many_write_everybody_sees_one_run(app: TestApp) {
    let (mut clients, chat) = in_one_room(&[&app]).await;
    all_write(&mut clients, chat, 100).await;
    let history = app.history(&admin("ada"), chat).await;
    let texts: HashSet<_> = history.iter().map(|message| message["message"].to_string()).collect();
    assert_eq!((history.len(), texts.len()), (800, 800), "each is stored once");
}

async fn one_session_is_answered_in_the_order_it_asked(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    let mut ids = Vec::new();
    for i in 0..200 {
        ids.push(kim.submit("send_message", json!({"message": format!("{i}")})).await);
    }
    for (i, id) in ids.iter().enumerate() {
        assert_eq!(kim.answer(id).await.expect("an ack")["seq"], i + 1);
    }
    assert_run(&kim.run(kim.chat()), 1, 200);
}

async fn what_many_write_in_many_chats_stays_in_its_chat(app: TestApp) {
    const CHATS: usize = 12;
    const EACH: i64 = 25;
    let mut ada = app.connect(&admin("ada")).await;
    let people: Vec<_> = (0..CHATS).map(|i| customer(&format!("customer-{i}"))).collect();
    let mut clients = all(people.iter().map(|person| app.connect(person))).await;
    let chats: Vec<_> = clients.iter().map(|client| client.chat()).collect();
    ada.ask("enter_chat", json!({"chatIds": chats})).await;
    all(clients.iter_mut().map(|client| async {
        for i in 0..EACH {
            client
                .submit("send_message", json!({"message": format!("{} {i}", client.chat())}))
                .await;
        }
        assert_run(&client.run_to(client.chat(), EACH).await, 1, EACH);
    }))
    .await;
    for chat in chats {
        assert_run(&ada.run_to(chat, EACH).await, 1, EACH);
        for (i, message) in app.history(&admin("ada"), chat).await.iter().enumerate() {
            assert_eq!(message["message"], format!("{chat} {i}"), "in the order it was sent");
        }
    }
}

async fn on_two_nodes_everybody_sees_one_run(app: TestApp) {
    let other = app.another_node().await;
    let (mut clients, chat) = in_one_room(&[&app, &other]).await;
    all_write(&mut clients, chat, 50).await;
    assert_eq!(app.history(&admin("ada"), chat).await.len(), 500);
}

async fn two_processes_see_each_others_messages(app: TestApp) {
    let (one, two) = tokio::join!(app.another_process(), app.another_process());
    let (mut clients, chat) = in_one_room(&[&one, &two]).await;
    all_write(&mut clients, chat, 20).await;
    // And a single one, when nothing else moves.
    let [here, there] = clients.get_disjoint_mut([0, 2]).expect("a session on each");
    let ack = here.say(chat, "over there?").await;
    let last = ack["seq"].as_i64().expect("a seq");
    assert_run(&there.run_to(chat, last).await, 1, last);
}
