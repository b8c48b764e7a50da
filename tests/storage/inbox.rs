//! Other services' updates of their users, and the services' own users.

use std::collections::HashSet;
use std::time::Duration;

use frontdesk::db::{Change, Store};
use frontdesk::domain::{
    Draft, Identity, OWN_ISSUER, Role, Seq, Timestamp, UpdateOutcome, User, UserId, UserUpdate,
};

use crate::contract;
use crate::fixture::{Fixture, SINK, identity, new, note, write};

contract! {
    a_user_who_is_told_of_is_made_without_a_chat,
    a_repeat_is_applied_once,
    older_news_change_nothing,
    news_from_the_future_are_of_now,
    a_time_still_to_come_holds_up_no_news,
    what_is_not_said_changes_nothing,
    the_creation_of_a_known_user_changes_nothing,
    news_and_tokens_count_by_their_time,
    a_block_counts_whatever_tokens_say,
    a_role_and_a_block_stand_in_the_journal,
    many_at_once_make_one_user,
    a_service_is_found_or_made,
    a_service_is_changed_by_nobody_else,
    what_services_tell_is_not_told_again,
}

fn news(subject: &str, at: i64) -> UserUpdate {
    UserUpdate {
        event: None,
        at: Some(Timestamp::from_seconds(at)),
        issuer: "shop".to_owned(),
        subject: subject.to_owned(),
        nickname: None,
        email: None,
        role: None,
        blocked: None,
        is_first: false,
    }
}

fn named(nickname: &str, at: i64) -> UserUpdate {
    UserUpdate { nickname: Some(nickname.to_owned()), ..news("kim", at) }
}

fn event(source: &str, id: &str, news: UserUpdate) -> UserUpdate {
    UserUpdate { event: Some((source.to_owned(), id.to_owned())), ..news }
}

#[track_caller]
fn changed(applied: UpdateOutcome) -> User {
    match applied {
        UpdateOutcome::Changed(user) => user,
        UpdateOutcome::Unchanged => panic!("nothing changed"),
    }
}

async fn kim(store: &Store) -> User {
    store.find_identity("shop".into(), "kim".into()).await.unwrap().expect("the user")
}

async fn nickname(store: &Store) -> Option<String> {
    kim(store).await.nickname
}

async fn a_user_who_is_told_of_is_made_without_a_chat(fixture: Fixture) {
    for (subject, is_first) in [("kim", true), ("lee", false)] {
        let told = UserUpdate {
            nickname: Some("K".into()),
            email: Some("k@x".into()),
            role: Some(Role::Admin),
            blocked: Some(true),
            is_first,
            ..news(subject, 100)
        };
        let user = changed(fixture.store.apply_user_update(told).await.unwrap());
        assert_eq!((user.issuer.as_str(), user.subject.as_str()), ("shop", subject));
        assert_eq!((user.nickname.as_deref(), user.email.as_deref()), (Some("K"), Some("k@x")));
        assert_eq!((user.role, user.blocked), (Role::Admin, true));
        assert_eq!(fixture.store.user(user.id).await.unwrap(), Some(user));
    }
    let plain = changed(fixture.store.apply_user_update(news("moe", 100)).await.unwrap());
    assert_eq!((plain.role, plain.blocked, plain.nickname), (Role::Customer, false, None));
    assert_eq!(fixture.lines("SELECT 'a chat' AS line FROM chats").await, [""; 0]);
    // The own chat comes with the first token.
    let admitted = fixture.store.admit(vec![identity("moe")]).await.unwrap().remove(0);
    assert_eq!(admitted.user.id, plain.id);
    assert!(admitted.created_chat.is_some());
}

async fn a_repeat_is_applied_once(fixture: Fixture) {
    let store = &fixture.store;
    changed(store.apply_user_update(event("crm", "1", named("one", 100))).await.unwrap());
    changed(store.apply_user_update(event("crm", "2", named("two", 101))).await.unwrap());
    for _ in 0..2 {
        let again = store.apply_user_update(event("crm", "1", named("one", 102))).await.unwrap();
        assert_eq!(again, UpdateOutcome::Unchanged);
    }
    assert_eq!(nickname(store).await.as_deref(), Some("two"));
    // Another's event of the same id is another event.
    changed(store.apply_user_update(event("erp", "1", named("three", 103))).await.unwrap());

    // What is remembered for long enough is forgotten.
    store.prune_inbox(Duration::from_secs(3_600)).await.unwrap();
    let again = store.apply_user_update(event("crm", "1", named("four", 104))).await.unwrap();
    assert_eq!(again, UpdateOutcome::Unchanged);
    store.prune_inbox(Duration::from_secs(u64::MAX)).await.unwrap();
    assert_eq!(fixture.lines("SELECT event_id AS line FROM inbox").await.len(), 3);
    store.prune_inbox(Duration::ZERO).await.unwrap();
    changed(store.apply_user_update(event("crm", "1", named("four", 104))).await.unwrap());
}

async fn older_news_change_nothing(fixture: Fixture) {
    let store = &fixture.store;
    changed(store.apply_user_update(named("first", 100)).await.unwrap());
    let older = UserUpdate { role: Some(Role::Admin), ..named("older", 99) };
    assert_eq!(store.apply_user_update(older).await.unwrap(), UpdateOutcome::Unchanged);
    assert_eq!(nickname(store).await.as_deref(), Some("first"));
    // Of the same second, they come in the order in which they were told.
    changed(store.apply_user_update(named("same", 100)).await.unwrap());
    // What says nothing new is newer all the same.
    let confirmed = store.apply_user_update(named("same", 110)).await.unwrap();
    assert_eq!(confirmed, UpdateOutcome::Unchanged);
    let older = store.apply_user_update(named("older", 109)).await.unwrap();
    assert_eq!(older, UpdateOutcome::Unchanged);
    assert_eq!(nickname(store).await.as_deref(), Some("same"));
    // News that do not say when they happened are of now.
    let undated = UserUpdate { at: None, ..named("now", 0) };
    changed(store.apply_user_update(undated).await.unwrap());
    assert_eq!(
        store.apply_user_update(named("late", 111)).await.unwrap(),
        UpdateOutcome::Unchanged
    );
    assert_eq!(nickname(store).await.as_deref(), Some("now"));
}

async fn news_from_the_future_are_of_now(fixture: Fixture) {
    let far = named("far", 253_402_300_799);
    changed(fixture.store.apply_user_update(far).await.unwrap());
    let undated = UserUpdate { at: None, ..named("now", 0) };
    changed(fixture.store.apply_user_update(undated).await.unwrap());
    assert_eq!(nickname(&fixture.store).await.as_deref(), Some("now"));
}

async fn what_is_not_said_changes_nothing(fixture: Fixture) {
    let store = &fixture.store;
    let all = UserUpdate {
        email: Some("k@x".into()),
        role: Some(Role::Admin),
        blocked: Some(true),
        ..named("Kim", 100)
    };
    let first = changed(store.apply_user_update(all).await.unwrap());
    assert_eq!(store.apply_user_update(news("kim", 101)).await.unwrap(), UpdateOutcome::Unchanged);
    assert_eq!(kim(store).await, first);
    let unblocked = UserUpdate { blocked: Some(false), ..news("kim", 102) };
    let user = changed(store.apply_user_update(unblocked).await.unwrap());
    assert_eq!(user, User { blocked: false, ..first });
}

async fn the_creation_of_a_known_user_changes_nothing(fixture: Fixture) {
    fixture.customer("kim").await;
    let before = kim(&fixture.store).await;
    let first = UserUpdate {
        is_first: true,
        role: Some(Role::Admin),
        blocked: Some(true),
        ..named("other", 200)
    };
    assert_eq!(fixture.store.apply_user_update(first).await.unwrap(), UpdateOutcome::Unchanged);
    assert_eq!(kim(&fixture.store).await, before);
}

async fn news_and_tokens_count_by_their_time(fixture: Fixture) {
    let store = &fixture.store;
    // The first token's time is 100.
    fixture.customer("kim").await;
    assert_eq!(
        store.apply_user_update(named("older", 99)).await.unwrap(),
        UpdateOutcome::Unchanged
    );
    changed(store.apply_user_update(named("news", 120)).await.unwrap());
    let token = |issued_at, nickname: &str| Identity {
        nickname: Some(nickname.into()),
        issued_at: Some(issued_at),
        ..identity("kim")
    };
    store.admit(vec![token(119, "older token")]).await.unwrap();
    assert_eq!(nickname(store).await.as_deref(), Some("news"));
    store.admit(vec![token(121, "newer token")]).await.unwrap();
    assert_eq!(nickname(store).await.as_deref(), Some("newer token"));
}

async fn a_block_counts_whatever_tokens_say(fixture: Fixture) {
    let store = &fixture.store;
    let token = Identity { issued_at: Some(200), ..identity("kim") };
    store.admit(vec![token.clone()]).await.unwrap();
    let blocked = UserUpdate { blocked: Some(true), ..named("older", 150) };
    let user = changed(store.apply_user_update(blocked).await.unwrap());
    assert_eq!((user.blocked, user.nickname.as_deref()), (true, Some("kim")));
    let older = UserUpdate { blocked: Some(false), ..news("kim", 149) };
    assert_eq!(store.apply_user_update(older).await.unwrap(), UpdateOutcome::Unchanged);
    assert!(store.admit(vec![token]).await.unwrap()[0].user.blocked);
    let newer = UserUpdate { blocked: Some(false), ..news("kim", 151) };
    assert!(!changed(store.apply_user_update(newer).await.unwrap()).blocked);
    // Nor does other news, however new, make a block old.
    changed(store.apply_user_update(named("newest", 300)).await.unwrap());
    let late = UserUpdate { blocked: Some(true), ..news("kim", 250) };
    assert!(changed(store.apply_user_update(late).await.unwrap()).blocked);
    let newest = UserUpdate { blocked: Some(false), ..news("kim", 251) };
    assert!(!changed(store.apply_user_update(newest).await.unwrap()).blocked);
    // What comes once more, and does not say by what it is known, blocks nobody again.
    let again = UserUpdate { blocked: Some(true), ..news("kim", 150) };
    assert_eq!(store.apply_user_update(again).await.unwrap(), UpdateOutcome::Unchanged);
}

async fn a_role_and_a_block_stand_in_the_journal(fixture: Fixture) {
    let start = fixture.store.settled().await.unwrap();
    let (kim, chat) = fixture.customer("kim").await;
    let apply = |news: UserUpdate| {
        let store = fixture.store.clone();
        async move { store.apply_user_update(news).await.unwrap() }
    };
    let blocked = |blocked, at| UserUpdate { blocked: Some(blocked), ..news("kim", at) };
    changed(apply(named("Kim", 101)).await);
    changed(apply(blocked(true, 102)).await);
    assert_eq!(apply(blocked(true, 103)).await, UpdateOutcome::Unchanged);
    assert_eq!(apply(blocked(false, 102)).await, UpdateOutcome::Unchanged);
    changed(apply(blocked(false, 104)).await);
    changed(apply(UserUpdate { role: Some(Role::Admin), ..news("kim", 105) }).await);
    changed(apply(UserUpdate { blocked: Some(true), ..news("lee", 105) }).await);
    let changes: Vec<_> =
        fixture.store.journal(start, 100).await.unwrap().iter().map(|entry| entry.change).collect();
    let of_kim = Change::UserChanged(kim);
    assert_eq!(changes, [Change::ChatCreated(chat), of_kim, of_kim, of_kim]);
}

async fn many_at_once_make_one_user(fixture: Fixture) {
    let mut tasks = Vec::new();
    for n in 0..4 {
        let store = fixture.another_store().await;
        for m in 0..5 {
            let store = store.clone();
            tasks.push(tokio::spawn(async move {
                let told = event("crm", &format!("{}", m % 3), named(&format!("{n} {m}"), 100));
                store.apply_user_update(told).await.expect("applied");
                store.admit(vec![identity("kim")]).await.expect("admitted");
                store.service_user(Role::Bot, "guide".into(), None).await.expect("a bot").id
            }));
        }
    }
    let mut bots = HashSet::new();
    for task in tasks {
        bots.insert(task.await.unwrap());
    }
    assert_eq!(bots.len(), 1);
    let users = fixture.lines("SELECT subject AS line FROM users ORDER BY subject").await;
    assert_eq!(users, ["bot:guide", "kim"]);
    assert_eq!(fixture.lines("SELECT event_id AS line FROM inbox").await.len(), 3);
}

async fn a_service_is_found_or_made(fixture: Fixture) {
    let store = fixture.telling_store().await;
    let service = |role, name: &str, nickname: Option<&str>| {
        let (store, name, nickname) = (store.clone(), name.to_owned(), nickname.map(str::to_owned));
        async move { store.service_user(role, name, nickname).await }
    };
    let bot = service(Role::Bot, "guide", Some("Guide")).await.unwrap();
    assert_eq!((bot.issuer.as_str(), bot.subject.as_str()), (OWN_ISSUER, "bot:guide"));
    assert_eq!((bot.role, bot.nickname.as_deref()), (Role::Bot, Some("Guide")));
    assert_eq!(service(Role::Bot, "guide", Some("Guide")).await.unwrap(), bot);
    assert_eq!(service(Role::Bot, "guide", None).await.unwrap(), bot);
    let renamed = service(Role::Bot, "guide", Some("The Guide")).await.unwrap();
    assert_eq!(renamed, User { nickname: Some("The Guide".into()), ..bot.clone() });
    assert_eq!(store.user(bot.id).await.unwrap(), Some(renamed));

    let system = service(Role::System, "guide", None).await.unwrap();
    assert_ne!(system.id, bot.id);
    assert_eq!((system.role, system.nickname), (Role::System, None));
    assert!(service(Role::Admin, "guide", None).await.is_err());
    assert!(service(Role::Customer, "guide", None).await.is_err());
    assert_eq!(store.outbox(SINK, 10).await.unwrap(), [], "a service is no news");

    // It writes, and is listed, like anybody.
    let (kim, chat) = fixture.customer("kim").await;
    let mut writer = store.writer().await.unwrap();
    let hello = Draft { role: Role::Bot, ..note(chat, bot.id, "hello") };
    new(&write(&mut writer, vec![hello]).await[0]);
    let (shown, standing) = store.chat(chat, kim).await.unwrap().unwrap();
    assert_eq!(shown.last_message.unwrap().author.role, Role::Bot);
    assert_eq!(standing.last_seq, Seq(1));
    let users = store.users(frontdesk::db::UserFilter::default(), None, 10).await.unwrap();
    let roles: Vec<_> = users.iter().map(|user| user.role).collect();
    assert_eq!(roles, [Role::Bot, Role::System, Role::Customer]);
    assert!(store.set_blocked(bot.id, true, None).await.unwrap().unwrap().blocked);
    assert!(service(Role::Bot, "guide", None).await.unwrap().blocked);
}

async fn a_service_is_changed_by_nobody_else(fixture: Fixture) {
    let store = fixture.telling_store().await;
    let bot = store.service_user(Role::Bot, "guide".into(), Some("Guide".into())).await.unwrap();
    let told = UserUpdate {
        issuer: OWN_ISSUER.into(),
        subject: "bot:guide".into(),
        role: Some(Role::Customer),
        blocked: Some(true),
        ..named("Mallory", 4_000_000_000)
    };
    assert_eq!(store.apply_user_update(told.clone()).await.unwrap(), UpdateOutcome::Unchanged);
    let stranger = UserUpdate { subject: "bot:other".into(), ..told };
    assert_eq!(store.apply_user_update(stranger).await.unwrap(), UpdateOutcome::Unchanged);
    let token = Identity {
        issuer: OWN_ISSUER.into(),
        subject: "bot:guide".into(),
        role: Some(Role::Admin),
        issued_at: Some(4_000_000_000),
        ..identity("Mallory")
    };
    let admitted = store.admit(vec![token]).await.unwrap().remove(0);
    assert_eq!((admitted.user, admitted.chats.len()), (bot.clone(), 0));
    assert!(store.own_chat(bot.id).await.is_err(), "a service has no chat of its own");
    assert_eq!(store.user(bot.id).await.unwrap(), Some(bot));
    assert_eq!(store.user(UserId(2)).await.unwrap(), None, "nobody was made");
    // No news make a service of a person.
    let told = UserUpdate { role: Some(Role::System), ..news("kim", 100) };
    assert_eq!(changed(store.apply_user_update(told.clone()).await.unwrap()).role, Role::Customer);
    let told = UserUpdate { at: None, ..told };
    assert_eq!(store.apply_user_update(told).await.unwrap(), UpdateOutcome::Unchanged);
}

async fn what_services_tell_is_not_told_again(fixture: Fixture) {
    let store = fixture.telling_store().await;
    changed(store.apply_user_update(named("Kim", 100)).await.unwrap());
    changed(store.apply_user_update(named("K", 101)).await.unwrap());
    let blocked = UserUpdate { blocked: Some(true), ..news("kim", 102) };
    changed(store.apply_user_update(blocked).await.unwrap());
    assert_eq!(store.outbox(SINK, 10).await.unwrap(), []);
}

async fn a_time_still_to_come_holds_up_no_news(fixture: Fixture) {
    fixture.customer("kim").await;
    fixture.execute("UPDATE users SET claims_at = 4102444800, role_set_at = 4102444800").await;
    let told = UserUpdate { role: Some(Role::Admin), at: None, ..named("Kay", 0) };
    let user = changed(fixture.store.apply_user_update(told).await.unwrap());
    assert_eq!((user.role, user.nickname.as_deref()), (Role::Admin, Some("Kay")));
    let kept = "SELECT subject AS line FROM users WHERE 4102444800 IN (claims_at, role_set_at)";
    assert!(fixture.lines(kept).await.is_empty());
}
