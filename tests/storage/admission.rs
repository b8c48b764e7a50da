//! User admission.

use std::collections::HashSet;

use frontdesk::db::{Change, Direction, UserFilter};
use frontdesk::domain::{ChatKind, Created, Identity, Role, Timestamp, UserId, UserUpdate};

use crate::contract;
use crate::fixture::{Fixture, identity};

contract! {
    a_newcomer_gets_a_user_and_a_support_chat,
    many_at_once_make_one_user_and_one_chat,
    a_batch_is_answered_in_the_order_asked,
    an_older_token_changes_nothing_of_a_user,
    a_user_made_by_hand_takes_over_what_the_first_token_says,
    a_blocked_user_gets_nothing,
    a_time_still_to_come_holds_up_no_token,
    users_are_found_in_any_case_however_they_came,
    rows_of_before_are_found_and_filled,
    an_admin_has_no_support_chat,
    a_customers_own_chat_is_told_of_among_a_hundred,
    blocks_roles_and_chats_stand_in_the_journal,
    a_search_finds_parts_in_any_case,
    the_own_chat_is_made_once,
}

async fn a_newcomer_gets_a_user_and_a_support_chat(fixture: Fixture) {
    let first = fixture.store.admit(vec![identity("kim")]).await.unwrap().remove(0);
    assert_eq!(first.user.role, Role::Customer);
    assert_eq!(first.user.nickname.as_deref(), Some("kim"));
    assert_eq!(first.chats.len(), 1);
    assert_eq!(first.chats[0].kind, ChatKind::Support);
    assert!(first.chats[0].member);
    assert_eq!(first.created_chat.map(|chat| chat.id), Some(first.chats[0].chat_id));

    let second = fixture.store.admit(vec![identity("kim")]).await.unwrap().remove(0);
    assert_eq!(second.user, first.user);
    assert_eq!(second.chats, first.chats);
    assert_eq!(second.created_chat, None);

    let found = fixture.store.find_identity("shop".into(), "kim".into()).await.unwrap();
    assert_eq!(found.as_ref(), Some(&first.user));
    assert_eq!(fixture.store.user(first.user.id).await.unwrap(), found);
    assert_eq!(fixture.store.find_identity(String::new(), "kim".into()).await.unwrap(), None);
}

async fn many_at_once_make_one_user_and_one_chat(fixture: Fixture) {
    let mut tasks = Vec::new();
    for _ in 0..5 {
        let store = fixture.another_store().await;
        for _ in 0..10 {
            let store = store.clone();
            tasks.push(tokio::spawn(async move { store.admit(vec![identity("kim")]).await }));
        }
    }
    let mut users = HashSet::new();
    let mut chats = HashSet::new();
    let mut made = 0;
    for task in tasks {
        let admission = task.await.unwrap().expect("admitted").remove(0);
        users.insert(admission.user.id);
        assert_eq!(admission.chats.len(), 1);
        chats.insert(admission.chats[0].chat_id);
        made += usize::from(admission.created_chat.is_some());
    }
    assert_eq!((users.len(), chats.len(), made), (1, 1, 1));
    let journal = fixture.store.journal(Timestamp(0), 100).await.unwrap();
    assert_eq!(journal.len(), 1, "the chat is told of once");
}

async fn a_batch_is_answered_in_the_order_asked(fixture: Fixture) {
    fixture.store.admit(vec![identity("b")]).await.unwrap();
    let names = ["c", "a", "b", "c", "d"];
    let mut batch: Vec<Identity> = names.iter().map(|name| identity(name)).collect();
    batch[4].issuer = String::new();
    let admitted = fixture.store.admit(batch).await.unwrap();
    let subjects: Vec<_> = admitted.iter().map(|a| a.user.subject.as_str()).collect();
    assert_eq!(subjects, names);
    assert_eq!(admitted[0].user, admitted[3].user);
    assert_eq!(admitted[4].user.issuer, "");
    let made: Vec<_> = admitted.iter().map(|a| a.created_chat.is_some()).collect();
    assert_eq!(made, [true, true, false, false, true]);
    assert!(admitted.iter().all(|a| a.chats.len() == 1));
    assert!(fixture.store.admit(Vec::new()).await.unwrap().is_empty());
}

async fn an_older_token_changes_nothing_of_a_user(fixture: Fixture) {
    let admit = |token: Identity| {
        let store = fixture.store.clone();
        async move { store.admit(vec![token]).await.unwrap().remove(0).user }
    };
    let first = admit(identity("kim")).await;
    let say = |issued_at, nickname: &str| Identity {
        nickname: Some(nickname.to_owned()),
        role: Some(Role::Admin),
        issued_at,
        ..identity("kim")
    };
    assert_eq!(admit(say(Some(99), "old")).await, first);
    for issued_at in [None, Some(100)] {
        assert_eq!(admit(say(issued_at, "last")).await.nickname.as_deref(), Some("last"));
    }
    let second = admit(say(Some(101), "Kim")).await;
    assert_eq!((second.id, second.role), (first.id, Role::Admin));
    assert_eq!(second.nickname.as_deref(), Some("Kim"));
    // What a newer token does not say stays; that it was seen is kept all the same.
    let silent = Identity { nickname: None, role: None, issued_at: Some(103), ..identity("kim") };
    assert_eq!(admit(silent).await, second);
    assert_eq!(admit(say(Some(102), "late")).await, second);
    // Two tokens in one batch: the newer one counts, wherever it stands.
    let two = vec![say(Some(105), "newest"), say(Some(104), "older")];
    let admitted = fixture.store.admit(two).await.unwrap();
    assert!(admitted.iter().all(|a| a.user.nickname.as_deref() == Some("newest")));
}

async fn a_user_made_by_hand_takes_over_what_the_first_token_says(fixture: Fixture) {
    let create = || {
        fixture.store.create_user(
            "shop".into(),
            "kim".into(),
            Some("K.".into()),
            Some("k@x".into()),
        )
    };
    let created = create().await.unwrap();
    assert!(created.is_new());
    let user = created.into_inner();
    assert_eq!((user.role, user.nickname.as_deref()), (Role::Customer, Some("K.")));
    assert_eq!(create().await.unwrap(), Created::Existing(user.clone()));

    let token = Identity { issued_at: None, ..identity("kim") };
    let admission = fixture.store.admit(vec![token]).await.unwrap().remove(0);
    assert_eq!(admission.user.id, user.id);
    assert_eq!(admission.user.nickname.as_deref(), Some("kim"));
    assert_eq!(admission.user.email.as_deref(), Some("k@x"));
    assert!(admission.created_chat.is_some());
}

async fn a_blocked_user_gets_nothing(fixture: Fixture) {
    let user = fixture.user("kim").await;
    let blocked = fixture.store.set_blocked(user, true, None).await.unwrap().expect("the user");
    assert!(blocked.blocked);

    let admission = fixture.store.admit(vec![identity("kim")]).await.unwrap().remove(0);
    assert!(admission.user.blocked);
    assert_eq!(admission.user.nickname, None, "the token changed nothing");
    assert_eq!((admission.chats.len(), admission.created_chat), (0, None));

    fixture.store.set_blocked(user, false, None).await.unwrap();
    let admission = fixture.store.admit(vec![identity("kim")]).await.unwrap().remove(0);
    assert!(!admission.user.blocked);
    assert!(admission.created_chat.is_some());
    assert_eq!(fixture.store.set_blocked(UserId(999), true, None).await.unwrap(), None);
}

async fn an_admin_has_no_support_chat(fixture: Fixture) {
    let admin = Identity { role: Some(Role::Admin), ..identity("ada") };
    let admission = fixture.store.admit(vec![admin]).await.unwrap().remove(0);
    assert_eq!((admission.chats.len(), admission.created_chat), (0, None));

    // A customer who becomes an admin keeps the chat, and is not told of it.
    fixture.customer("kim").await;
    let promoted = Identity { role: Some(Role::Admin), issued_at: Some(200), ..identity("kim") };
    let admission = fixture.store.admit(vec![promoted]).await.unwrap().remove(0);
    assert_eq!(admission.user.role, Role::Admin);
    assert!(admission.chats.is_empty());
}

async fn a_customers_own_chat_is_told_of_among_a_hundred(fixture: Fixture) {
    let (kim, own) = fixture.customer("kim").await;
    let ada = fixture.admin("ada").await;
    let mut groups = Vec::new();
    for _ in 0..101 {
        groups.push(fixture.group(ada, vec![kim]).await);
    }
    let admission = fixture.store.admit(vec![identity("kim")]).await.unwrap().remove(0);
    let told: Vec<_> = admission.chats.iter().map(|standing| standing.chat_id).collect();
    assert_eq!(told.len(), 100);
    assert!(told.contains(&own));
    groups.reverse();
    assert_eq!(told[..99], groups[..99], "the latest active first");
}

async fn blocks_roles_and_chats_stand_in_the_journal(fixture: Fixture) {
    let start = fixture.store.settled().await.unwrap();
    let (kim, chat) = fixture.customer("kim").await;
    fixture.store.set_blocked(kim, true, None).await.unwrap();
    fixture.store.set_blocked(kim, true, None).await.unwrap();
    fixture.store.set_blocked(kim, false, None).await.unwrap();
    let promoted = Identity { role: Some(Role::Admin), issued_at: Some(200), ..identity("kim") };
    fixture.store.admit(vec![promoted]).await.unwrap();
    let renamed = Identity { nickname: Some("K".into()), issued_at: Some(201), ..identity("kim") };
    fixture.store.admit(vec![renamed]).await.unwrap();
    let group = fixture.group(kim, Vec::new()).await;

    let entries = fixture.store.journal(start, 100).await.unwrap();
    let changes: Vec<_> = entries.iter().map(|entry| entry.change).collect();
    assert_eq!(
        changes,
        [
            Change::ChatCreated(chat),
            Change::UserChanged(kim),
            Change::UserChanged(kim),
            Change::UserChanged(kim),
            Change::ChatCreated(group),
        ]
    );
    assert!(entries.iter().all(|entry| entry.at >= start));
    let last = entries.last().unwrap();
    let later = fixture.store.journal(last.at, 100).await.unwrap();
    assert_eq!(later.last(), Some(last), "asked from its own time on, an entry is still there");
    assert_eq!(fixture.store.journal(start, 2).await.unwrap(), entries[..2]);

    assert_eq!(fixture.store.prune_journal(last.at).await.unwrap(), 4);
    assert_eq!(fixture.store.journal(start, 100).await.unwrap(), [*last]);
}

async fn a_search_finds_parts_in_any_case(fixture: Fixture) {
    for (subject, nickname, email) in [
        ("u-1", "Kim", "kim@example.org"),
        ("u-2", "100%", "percent@example.org"),
        ("u_3", "Lee", "lee@EXAMPLE.org"),
    ] {
        let (nickname, email) = (Some(nickname.to_owned()), Some(email.to_owned()));
        fixture.store.create_user("shop".into(), subject.into(), nickname, email).await.unwrap();
    }
    let find = |query: Option<&str>, subject: Option<&str>| {
        let filter =
            UserFilter { query: query.map(str::to_owned), subject: subject.map(str::to_owned) };
        let store = fixture.store.clone();
        async move {
            let users = store.users(filter, None, 100).await.unwrap();
            users.into_iter().map(|user| user.subject).collect::<Vec<_>>()
        }
    };
    assert_eq!(find(Some("KIM"), None).await, ["u-1"]);
    assert_eq!(find(Some("example.ORG"), None).await, ["u-1", "u-2", "u_3"]);
    assert_eq!(find(Some("%"), None).await, ["u-2"]);
    assert_eq!(find(Some("u_"), None).await, ["u_3"]);
    assert_eq!(find(Some("\\"), None).await, [""; 0]);
    assert_eq!(find(None, Some("u-1")).await, ["u-1"]);
    assert_eq!(find(None, Some("u-")).await, [""; 0]);

    let page = fixture.store.users(UserFilter::default(), None, 2).await.unwrap();
    let rest = fixture.store.users(UserFilter::default(), Some(page[1].id), 2).await.unwrap();
    assert_eq!((page.len(), rest.len()), (2, 1));
    assert!(page[0].id < page[1].id && page[1].id < rest[0].id);
}

async fn the_own_chat_is_made_once(fixture: Fixture) {
    let user = fixture.user("kim").await;
    let created = fixture.store.own_chat(user).await.unwrap();
    let Created::New(chat) = created else { panic!("{created:?}") };
    assert_eq!(fixture.store.own_chat(user).await.unwrap(), Created::Existing(chat));
    assert_eq!(fixture.store.member_ids(chat).await.unwrap(), [user]);
    assert!(fixture.store.own_chat(UserId(999)).await.is_err());
}

async fn users_are_found_in_any_case_however_they_came(fixture: Fixture) {
    let named = |nickname: &str, issued_at| Identity {
        nickname: Some(nickname.to_owned()),
        issued_at: Some(issued_at),
        ..identity("by-token")
    };
    fixture.store.admit(vec![named("ÉLODIE Token", 100)]).await.unwrap();
    assert_eq!(fixture.found("élodie").await, ["by-token"]);
    fixture.store.admit(vec![named("ÅSA Token", 101)]).await.unwrap();
    assert_eq!(fixture.found("åsa token").await, ["by-token"]);
    assert!(fixture.found("élodie").await.is_empty(), "of the former name");

    let (subject, email) = ("BY-HAND-Ж".to_owned(), Some("ÉMAIL@example.org".to_owned()));
    fixture.store.create_user("shop".into(), subject, None, email).await.unwrap();
    assert_eq!(fixture.found("hand-ж").await, ["BY-HAND-Ж"]);
    assert_eq!(fixture.found("émail@").await, ["BY-HAND-Ж"]);

    let news = |nickname: &str| UserUpdate {
        issuer: "shop".into(),
        subject: "by-news".into(),
        role: None,
        nickname: Some(nickname.into()),
        email: None,
        blocked: None,
        at: None,
        event: None,
        is_first: false,
    };
    for (nickname, part) in [("ЖУК", "жук"), ("ÖRN", "örn")] {
        fixture.store.apply_user_update(news(nickname)).await.unwrap();
        assert_eq!(fixture.found(part).await, ["by-news"]);
    }
    for (nickname, part) in [("ÜBERSICHT", "über"), ("ÇA VA", "ça va")] {
        let name = Some(nickname.into());
        fixture.store.service_user(Role::Bot, "guide".into(), name).await.unwrap();
        assert_eq!(fixture.found(part).await, ["bot:guide"]);
    }
    for part in ["%", "_", "\\", "token%", "\\%"] {
        assert!(fixture.found(part).await.is_empty(), "{part}");
    }
}

async fn rows_of_before_are_found_and_filled(fixture: Fixture) {
    let people = (0..2_500).map(|n| Identity {
        nickname: Some("ÉLODIE".to_owned()),
        ..identity(&format!("Person-{n}"))
    });
    for batch in people.collect::<Vec<_>>().chunks(500) {
        fixture.store.admit(batch.to_vec()).await.unwrap();
    }
    fixture.execute("UPDATE users SET search = NULL").await;
    assert_eq!(fixture.found("PERSON-2499").await, ["Person-2499"], "not filled");
    let stores = [fixture.another_store().await, fixture.another_store().await];
    let [one, other] = stores.each_ref().map(|store| store.migrate(Direction::Up));
    let filled = tokio::join!(one, other);
    assert_eq!((filled.0.unwrap().len(), filled.1.unwrap().len()), (0, 0));
    let missing = "SELECT subject AS line FROM users WHERE search IS NULL";
    assert!(fixture.lines(missing).await.is_empty());
    assert_eq!(fixture.found("élodie").await.len(), 100);
}

async fn a_time_still_to_come_holds_up_no_token(fixture: Fixture) {
    fixture.customer("kim").await;
    fixture.execute("UPDATE users SET claims_at = 4102444800, role_set_at = 4102444800").await;
    let token = Identity {
        role: Some(Role::Admin),
        nickname: Some("Kay".into()),
        issued_at: Some(Timestamp::now().seconds()),
        ..identity("kim")
    };
    let user = fixture.store.admit(vec![token]).await.unwrap().remove(0).user;
    assert_eq!((user.role, user.nickname.as_deref()), (Role::Admin, Some("Kay")));
    let kept = "SELECT subject AS line FROM users WHERE claims_at = 4102444800";
    assert!(fixture.lines(kept).await.is_empty());
}
