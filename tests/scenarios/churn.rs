//! Sessions that come and go while others write: rooms empty, end, and begin again.

use std::time::Duration;

use frontdesk::domain::Timings;

use crate::retiring::{quick, rooms};
use crate::support::{
    Node, Person, TestApp, admin, all, assert_run, customer, json, postgres_scenarios, scenarios,
};

scenarios! {
    who_comes_and_goes_misses_nothing,
    a_chat_that_is_left_and_found_again_goes_on,
}

postgres_scenarios! {
    who_comes_and_goes_between_two_nodes_misses_nothing,
}

/// Comes `visits` times, each time resuming where the last visit ended; says something, hears a
/// little, goes. Gives how far it came.
async fn visit(nodes: &[&Node], who: &Person, chat: i64, visits: usize) -> i64 {
    let mut at = 0;
    for (visit, node) in nodes.iter().cycle().take(visits).enumerate() {
        let mut client = node.resume(who, &format!("{chat}:{at}")).await;
        let entry = client.welcomed_to(chat).expect("it is resumed");
        assert_eq!(entry["reset"], false, "{at} has been seen, so it is there: {entry}");
        let name = format!("{} {visit}", who.subject);
        let data = json!({"chatId": chat, "message": name, "clientId": name});
        let own = client.insist("send_message", data).await;
        let run = client.run_to(chat, own["seq"].as_i64().expect("a seq")).await;
        let end = run.last().copied().unwrap_or(at);
        assert_run(&run, at + 1, end);
        at = end;
        // Every way to go.
        match visit % 3 {
            0 => client.close().await,
            1 => drop(client),
            _ => {
                // A customer may not leave.
                let _ = client.request("leave_chat", json!({"chatIds": [chat]})).await;
                drop(client);
            }
        }
    }
    at
}

async fn visits(nodes: &[&Node]) {
    const VISITS: usize = 25;
    let kim = customer("kim");
    let [first, ..] = nodes else { panic!("a node at least") };
    let chat = first.connect(&kim).await.chat();
    let people: Vec<_> = (0..5).map(|i| admin(&format!("agent-{i}"))).chain([kim]).collect();
    let ends = all(people.iter().map(|who| visit(nodes, who, chat, VISITS))).await;
    let said = (people.len() * VISITS) as i64;
    assert!(ends.iter().all(|end| *end <= said));
    let mut last = first.resume(&admin("ada"), &format!("{chat}:0")).await;
    assert_run(&last.run_to(chat, said).await, 1, said);
    assert_eq!(first.history(&admin("ada"), chat).await.len() as i64, said);
}

/// Rooms end whenever they are empty for a moment.
fn at_once() -> Timings {
    Timings { room_idle: Duration::ZERO, ..quick() }
}

async fn who_comes_and_goes_misses_nothing(app: TestApp) {
    let app = app.with_timings(at_once()).await;
    visits(&[&app]).await;
}

async fn who_comes_and_goes_between_two_nodes_misses_nothing(app: TestApp) {
    let app = app.with_timings(at_once()).await;
    let other = app.another_node().await;
    visits(&[&app, &other]).await;
}

async fn a_chat_that_is_left_and_found_again_goes_on(app: TestApp) {
    let app = app.with_timings(quick()).await;
    let (person, agent) = (customer("kim"), admin("ada"));
    let kim = app.connect(&person).await;
    let chat = kim.chat();
    kim.close().await;
    let mut ada = app.connect(&agent).await;
    for round in 0..15 {
        // No room exists; a message starts one.
        rooms(&app, 0).await;
        let ack = ada.say(chat, &format!("round {round}")).await;
        assert_eq!(ack["seq"], 2 * round + 1);
        let mut kim = app.resume(&person, &format!("{chat}:{}", 2 * round)).await;
        kim.hears(&format!("round {round}")).await;
        kim.say(chat, "heard").await;
        kim.close().await;
    }
    assert_eq!(app.history(&agent, chat).await.len(), 30);
}
