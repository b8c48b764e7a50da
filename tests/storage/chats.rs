//! Chats as they are listed and told of.

use std::collections::HashMap;

use frontdesk::db::{ChatPage, GroupResult, Mark, Scope};
use frontdesk::domain::{Chat, ChatId, ChatKind, Role, Seq, UserId};

use crate::contract;
use crate::fixture::{Fixture, fill, identity, note, raise, write};

contract! {
    a_chat_shows_its_members_and_last_message,
    a_group_needs_people_who_exist,
    a_list_visits_each_chat_once_while_others_move,
    a_members_list_holds_the_own_chats_alone,
    a_user_stands_to_a_chat_by_membership_and_mark,
    a_large_group_shows_a_hundred_members,
    a_chat_of_a_kind_to_come_is_read,
    a_roster_is_the_same_however_many_ask_at_once,
}

async fn a_roster_is_the_same_however_many_ask_at_once(fixture: Fixture) {
    let (kim, own) = fixture.customer("kim").await;
    let ada = fixture.admin("ada").await;
    let bob = fixture.admin("bob").await;
    let group = fixture.store.create_group(ada, vec![kim, bob], None).await.unwrap();
    let GroupResult::Created(group) = group else { panic!("{group:?}") };
    let mut writer = fixture.writer().await;
    fill(&mut writer, own, kim, 3).await;
    fill(&mut writer, group, kim, 2).await;
    raise(&mut writer, vec![Mark { chat_id: own, user_id: ada, seq: Seq(2) }]).await;
    let mut asked = Vec::new();
    for user in [kim, ada, bob, kim] {
        for access in fixture.store.chat_access(user, vec![own, group]).await.unwrap() {
            asked.push((access, user));
        }
    }
    let rosters = fixture.store.rosters(asked).await.unwrap();
    assert_eq!(*rosters[&group].members, [kim, ada, bob]);
    assert_eq!(rosters[&group].reads, [(kim, Seq(2))]);
    assert_eq!(*rosters[&own].members, [kim]);
    assert_eq!(rosters[&own].reads, [(kim, Seq(3)), (ada, Seq(2))]);
}

async fn a_chat_shows_its_members_and_last_message(fixture: Fixture) {
    let (kim, chat) = fixture.customer("kim").await;
    let ada = fixture.admin("ada").await;
    let (empty, standing) = fixture.store.chat(chat, kim).await.unwrap().expect("the chat");
    assert_eq!(
        (empty.kind, empty.last_seq, &empty.last_message),
        (ChatKind::Support, Seq(0), &None)
    );
    assert_eq!(empty.created_at, empty.updated_at);
    assert_eq!((standing.member, standing.read_seq), (true, Seq(0)));

    let mut writer = fixture.writer().await;
    fill(&mut writer, chat, kim, 2).await;
    let (shown, standing) = fixture.store.chat(chat, ada).await.unwrap().expect("the chat");
    let last = shown.last_message.expect("a message");
    assert_eq!((last.seq, last.content.as_str(), last.author.id), (Seq(2), "message 2", kim));
    assert_eq!((shown.last_seq, shown.updated_at), (Seq(2), last.created_at));
    assert_eq!(shown.members.len(), 1);
    assert_eq!((shown.members[0].id, shown.members[0].role), (kim, Role::Customer));
    assert_eq!((standing.member, standing.last_seq, standing.read_seq), (false, Seq(2), Seq(0)));

    assert!(fixture.store.chat(ChatId(999), ada).await.unwrap().is_none());
    let found = fixture.store.chats_by_id(vec![chat, ChatId(999)]).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].last_message.as_ref().map(|message| message.seq), Some(Seq(2)));
}

async fn a_group_needs_people_who_exist(fixture: Fixture) {
    let ada = fixture.admin("ada").await;
    let (kim, _) = fixture.customer("kim").await;
    let lost = fixture.store.create_group(ada, vec![kim, UserId(998), UserId(997)], None).await;
    assert_eq!(lost.unwrap(), GroupResult::NoUser(UserId(998)));

    let people = vec![kim, ada, kim];
    let created = fixture.store.create_group(ada, people, Some("Returns".into())).await.unwrap();
    let GroupResult::Created(group) = created else { panic!("{created:?}") };
    let (shown, _) = fixture.store.chat(group, ada).await.unwrap().expect("the group");
    assert_eq!((shown.kind, shown.title.as_deref()), (ChatKind::Group, Some("Returns")));
    assert_eq!(fixture.store.member_ids(group).await.unwrap(), [ada, kim]);
}

async fn a_list_visits_each_chat_once_while_others_move(fixture: Fixture) {
    let ada = fixture.admin("ada").await;
    let mut quiet = Vec::new();
    for n in 0..20 {
        quiet.push(fixture.customer(&format!("quiet {n}")).await.1);
    }
    let (lee, busy) = fixture.customer("lee").await;
    let mut writer = fixture.writer().await;
    for newest_first in [true, false] {
        let mut seen: HashMap<ChatId, usize> = HashMap::new();
        let mut after = None;
        for _ in 0..100 {
            let page = ChatPage { after, newest_first, limit: 3 };
            let chats = fixture.store.chats(ada, Scope::All, page).await.unwrap();
            let keys: Vec<_> = chats.iter().map(|(chat, _)| (chat.updated_at, chat.id)).collect();
            let mut sorted = keys.clone();
            sorted.sort();
            if newest_first {
                sorted.reverse();
            }
            assert_eq!(keys, sorted);
            for (chat, _) in &chats {
                *seen.entry(chat.id).or_default() += 1;
            }
            let Some(last) = keys.last() else { break };
            after = Some(*last);
            if seen[&keys[0].1] < 5 {
                write(&mut writer, vec![note(busy, lee, "hello")]).await;
            }
            if chats.iter().any(|(chat, _)| chat.id == busy) && !newest_first {
                break;
            }
        }
        assert!(quiet.iter().all(|chat| seen.get(chat) == Some(&1)), "{newest_first}: {seen:?}");
    }
}

async fn a_members_list_holds_the_own_chats_alone(fixture: Fixture) {
    let ada = fixture.admin("ada").await;
    let (kim, own) = fixture.customer("kim").await;
    fixture.customer("lee").await;
    let group = fixture.group(ada, vec![kim]).await;
    let list = |after, newest_first, limit| {
        let store = fixture.store.clone();
        async move {
            let page = ChatPage { after, newest_first, limit };
            store.chats(kim, Scope::MemberOf(kim), page).await.unwrap()
        }
    };
    let ids = |chats: &[(Chat, _)]| chats.iter().map(|(chat, _)| chat.id).collect::<Vec<_>>();
    let newest = list(None, true, 10).await;
    assert_eq!(ids(&newest), [group, own]);
    assert!(newest.iter().all(|(_, standing)| standing.member));
    assert_eq!(ids(&list(None, false, 10).await), [own, group]);
    let first = list(None, true, 1).await;
    let after = Some((first[0].0.updated_at, first[0].0.id));
    assert_eq!(ids(&list(after, true, 1).await), [own]);
    let page = ChatPage { after: None, newest_first: true, limit: 10 };
    assert_eq!(ids(&fixture.store.chats(ada, Scope::MemberOf(ada), page).await.unwrap()), [group]);
    // As another reader sees it, who is a member of none of them.
    let bo = fixture.admin("bo").await;
    let read = fixture.store.chats(bo, Scope::MemberOf(kim), page).await.unwrap();
    assert_eq!(ids(&read), [group, own]);
    assert!(read.iter().all(|(_, standing)| !standing.member));
}

async fn a_user_stands_to_a_chat_by_membership_and_mark(fixture: Fixture) {
    let (kim, chat) = fixture.customer("kim").await;
    let ada = fixture.admin("ada").await;
    let mut writer = fixture.writer().await;
    fill(&mut writer, chat, kim, 3).await;
    let mark = Mark { chat_id: chat, user_id: ada, seq: Seq(2) };
    raise(&mut writer, vec![mark]).await[0].unwrap();

    let kims = fixture.store.chat_access(kim, vec![chat, ChatId(999)]).await.unwrap();
    assert_eq!(kims.len(), 1);
    assert_eq!((kims[0].member, kims[0].last_seq, kims[0].read_seq), (true, Seq(3), Seq(3)));
    let adas = fixture.store.chat_access(ada, vec![chat]).await.unwrap();
    assert_eq!((adas[0].member, adas[0].last_seq, adas[0].read_seq), (false, Seq(3), Seq(2)));
}

async fn a_large_group_shows_a_hundred_members(fixture: Fixture) {
    let ada = fixture.admin("ada").await;
    let batch = (0..150).map(|n| crate::fixture::identity(&format!("member {n}"))).collect();
    let admitted = fixture.store.admit(batch).await.unwrap();
    let members: Vec<UserId> = admitted.iter().map(|admission| admission.user.id).collect();
    let group = fixture.group(ada, members).await;
    let (shown, _) = fixture.store.chat(group, ada).await.unwrap().expect("the group");
    assert_eq!(shown.members.len(), 100);
    assert_eq!(shown.members[0].id, ada);
    assert_eq!(fixture.store.member_ids(group).await.unwrap().len(), 151);
}

async fn a_chat_of_a_kind_to_come_is_read(fixture: Fixture) {
    let ada = fixture.admin("ada").await;
    let staff = fixture.group(ada, Vec::new()).await;
    let unchecked = match fixture.store.is_postgres() {
        true => "ALTER TABLE chats DROP CONSTRAINT IF EXISTS chats_kind_check",
        false => "PRAGMA ignore_check_constraints = ON",
    };
    fixture.execute(&format!("{unchecked}; UPDATE chats SET kind = 'staff'")).await;
    let (shown, standing) = fixture.store.chat(staff, ada).await.unwrap().expect("the chat");
    assert_eq!((shown.kind, standing.kind), (ChatKind::Other, ChatKind::Other));
    let admitted = fixture.store.admit(vec![identity("ada")]).await.unwrap();
    assert_eq!(admitted[0].chats[0].kind, ChatKind::Other);
    // Nor does it stand in another's way.
    assert_eq!(fixture.customer("kim").await.1, ChatId(staff.0 + 1));
}
