//! After any history, every session sees what a recount says: who is online, who views which chat,
//! and how much is unread, on whatever node it is.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{
    Draw, Person, TestApp, TestClient, Value, admin, customer, eventually, json, scenarios,
};

scenarios! {
    after_any_history_everybody_sees_what_a_recount_says ["limits.presence_grace_ms" = 200],
}

/// Steps of a history.
const STEPS: usize = 80;

/// A user of the history.
struct Somebody {
    person: Person,
    id: i64,
    is_admin: bool,
    sessions: Vec<TestClient>,
    /// The chat that each of the sessions views.
    views: Vec<Option<i64>>,
    read: BTreeMap<i64, i64>,
}

/// A session that stays, with all that it was told.
struct Observer {
    client: TestClient,
    online: BTreeMap<i64, BTreeSet<i64>>,
    viewers: BTreeMap<i64, BTreeSet<i64>>,
}

fn ids(users: &Value) -> BTreeSet<i64> {
    let users = users.as_array().expect("a list");
    users.iter().map(|user| user["id"].as_i64().or(user.as_i64()).expect("an id")).collect()
}

impl Observer {
    async fn enter(app: &TestApp, name: &str, chats: &[i64]) -> Self {
        let mut client = app.connect(&admin(name)).await;
        let mut online = BTreeMap::new();
        for chat in chats {
            online.insert(*chat, ids(&client.enter(*chat).await["online"]));
        }
        Self {
            client,
            online,
            viewers: chats.iter().map(|chat| (*chat, BTreeSet::new())).collect(),
        }
    }

    /// Takes in all that came so far.
    async fn hear(&mut self) {
        for (event, data) in self.client.heard().await {
            let Some(chat) = data["chatId"].as_i64() else { continue };
            match event.as_str() {
                "presence" => {
                    let user = data["userId"].as_i64().expect("an id");
                    let online = self.online.entry(chat).or_default();
                    match data["online"] == true {
                        true => drop(online.insert(user)),
                        false => drop(online.remove(&user)),
                    }
                }
                "viewers" => drop(self.viewers.insert(chat, ids(&data["users"]))),
                _ => {}
            }
        }
    }
}

impl Somebody {
    async fn new(app: &TestApp, person: Person, is_admin: bool) -> Self {
        let first = app.connect(&person).await;
        let (sessions, views, read) = (vec![first], vec![None], BTreeMap::new());
        Self { id: sessions[0].user_id(), person, is_admin, sessions, views, read }
    }

    async fn connect(&mut self, app: &TestApp) {
        self.sessions.push(app.connect(&self.person).await);
        self.views.push(None);
    }

    async fn end(&mut self, at: usize, politely: bool) {
        self.views.remove(at);
        let session = self.sessions.remove(at);
        if politely { session.close().await } else { drop(session) }
    }
}

async fn after_any_history_everybody_sees_what_a_recount_says(app: TestApp) {
    let draw = Draw::announced("a history");
    let mut people = Vec::new();
    for name in ["kim", "lee", "mia"] {
        people.push(Somebody::new(&app, customer(name), false).await);
    }
    let agent = admin("ada");
    for person in [agent.clone(), admin("bob")] {
        people.push(Somebody::new(&app, person, true).await);
    }
    let mut chats: Vec<i64> = people[..3].iter().map(|kim| kim.sessions[0].chat()).collect();
    let members: Vec<i64> = people.iter().map(|somebody| somebody.id).collect();
    let group = people[3].sessions[0].ask("create_chat", json!({"userIds": members})).await;
    chats.push(group["id"].as_i64().expect("an id"));
    let mut observers = Vec::new();
    for name in ["oda", "ole", "ona"] {
        observers.push(Observer::enter(&app, name, &chats).await);
    }
    let mut ends: BTreeMap<i64, i64> = chats.iter().map(|chat| (*chat, 0)).collect();

    for step in 0..STEPS {
        let who = draw.below(people.len());
        let chat = match who {
            0..3 => [chats[who], chats[3]][draw.below(2)],
            _ => chats[draw.below(chats.len())],
        };
        let somebody = &mut people[who];
        let count = somebody.sessions.len();
        match draw.below(10) {
            0 | 1 if count < 3 => somebody.connect(&app).await,
            2 | 3 if count > 0 => somebody.end(draw.below(count), draw.below(2) == 0).await,
            4..=6 if count > 0 => {
                let ack = somebody.sessions[draw.below(count)].say(chat, &format!("{step}")).await;
                let seq = ack["seq"].as_i64().expect("a seq");
                somebody.read.insert(chat, seq);
                ends.insert(chat, seq);
            }
            7 if count > 0 => {
                let seq = draw.below(STEPS) as i64;
                let data = json!({"chatId": chat, "seq": seq});
                somebody.sessions[draw.below(count)].ask("read_message", data).await;
                let read = somebody.read.entry(chat).or_default();
                *read = seq.min(ends[&chat]).max(*read);
            }
            8 if count > 0 && somebody.is_admin => {
                let (at, view) = (draw.below(count), [None, Some(chat)][draw.below(2)]);
                somebody.sessions[at].ask("view_chat", json!({"chatId": view})).await;
                somebody.views[at] = view;
            }
            9 if !somebody.is_admin && draw.below(3) == 0 => {
                let path = |what| format!("/users/{}/{what}", somebody.id);
                app.post(&agent, &path("block"), json!({})).await.is(200);
                for mut session in somebody.sessions.drain(..) {
                    assert_eq!(session.closed().await, 4410);
                }
                somebody.views.clear();
                app.post(&agent, &path("unblock"), json!({})).await.is(200);
            }
            _ => {}
        }
    }

    for chat in &chats {
        let own = chats.iter().position(|other| other == chat).filter(|at| *at < 3);
        let is_member = |at: usize| own.is_none_or(|own| own == at);
        let expected: BTreeSet<i64> = (0..people.len())
            .filter(|at| is_member(*at) && !people[*at].sessions.is_empty())
            .map(|at| people[at].id)
            .collect();
        let viewing = |somebody: &&Somebody| somebody.views.contains(&Some(*chat));
        let viewers: BTreeSet<i64> = people.iter().filter(viewing).map(|ada| ada.id).collect();
        for observer in &mut observers {
            let told = tokio::time::timeout(crate::support::DEADLINE, async {
                while observer.online[chat] != expected || observer.viewers[chat] != viewers {
                    observer.hear().await;
                }
            });
            if told.await.is_err() {
                panic!(
                    "chat {chat}: online {:?} instead of {expected:?}, viewers {:?} instead of {viewers:?}",
                    observer.online[chat], observer.viewers[chat]
                );
            }
        }
        eventually("whoever asks is told the same", || async {
            let shown = app.get(&agent, &format!("/chats/{chat}")).await.is(200);
            (ids(&shown["online"]) == expected && shown["lastSeq"] == ends[chat]).then_some(())
        })
        .await;
        for (at, somebody) in people.iter().enumerate() {
            if !is_member(at) && !somebody.is_admin {
                continue;
            }
            let shown = app.get(&somebody.person, &format!("/chats/{chat}")).await.is(200);
            let read = somebody.read.get(chat).copied().unwrap_or_default();
            assert_eq!(
                (&shown["readSeq"], &shown["unread"]),
                (&json!(read), &json!(ends[chat] - read))
            );
        }
    }
    for observer in &mut observers {
        for (chat, end) in ends.iter().filter(|(_, end)| **end > 0) {
            let run = observer.client.run_to(*chat, *end).await;
            assert_eq!(run, (1..=*end).collect::<Vec<_>>());
        }
    }
}
