//! Entering a chat, from its end or from any place in it, and leaving it.

use crate::support::{TestApp, TestClient, admin, assert_run, customer, json, scenarios};

scenarios! {
    who_enters_begins_at_the_end,
    what_is_replayed_comes_before_the_ack,
    a_long_replay_is_truncated ["limits.replay" = 5],
    a_truncated_replay_stops_what_is_live ["limits.replay" = 5],
    a_replay_of_thousands_is_whole ["limits.replay" = 3000],
    a_place_beyond_the_end_is_reset,
    a_position_can_be_set_back_in_the_room,
    a_position_is_set_back_while_others_write,
    entering_is_all_or_nothing,
    a_chat_named_twice_counts_once_the_last,
    who_leaves_hears_nothing_until_entering_again,
    many_chats_are_entered_at_once,
}

/// A customer with `messages` in the own chat, and an admin who is not in it.
async fn set_up(app: &TestApp, messages: usize) -> (TestClient, TestClient, i64) {
    let mut kim = app.connect(&customer("kim")).await;
    let chat = kim.chat();
    say(&mut kim, chat, messages).await;
    (kim, app.connect(&admin("ada")).await, chat)
}

/// Says so many things, some hundreds in flight at once.
async fn say(client: &mut TestClient, chat: i64, messages: usize) {
    for i in 1..=messages {
        let data = json!({"chatId": chat, "message": format!("message {i}")});
        let id = client.submit("send_message", data).await;
        if i == messages || i % 500 == 0 {
            client.answer(&id).await.expect("an ack");
        }
    }
}

async fn who_enters_begins_at_the_end(app: TestApp) {
    let (mut kim, mut ada, chat) = set_up(&app, 3).await;
    let entry = ada.enter(chat).await;
    assert_eq!(
        (&entry["chatId"], &entry["lastSeq"], &entry["unread"]),
        (&json!(chat), &json!(3), &json!(3))
    );
    // Where nothing came: the end.
    assert_eq!((&entry["replayed"], &entry["replayedTo"]), (&json!(0), &json!(3)));
    assert_eq!((&entry["truncated"], &entry["reset"]), (&json!(false), &json!(false)));
    kim.say(chat, "live").await;
    ada.say(chat, "own").await;
    kim.say(chat, "live again").await;
    assert_run(&ada.run_to(chat, 6).await, 4, 6);
}

async fn what_is_replayed_comes_before_the_ack(app: TestApp) {
    let (mut kim, mut ada, chat) = set_up(&app, 10).await;
    let data = json!({"chats": [{"chatId": chat, "afterSeq": 6}]});
    let id = ada.submit("enter_chat", data).await;
    for seq in 7..=10 {
        let frame = ada.next().await;
        assert_eq!((frame.event.as_str(), &frame.data["seq"]), ("receive_message", &json!(seq)));
    }
    let ack = ada.next().await;
    assert_eq!((ack.event.as_str(), &ack.id), ("ack", &id));
    let entry = &ack.data["chats"][0];
    assert_eq!((&entry["replayed"], &entry["replayedTo"]), (&json!(4), &json!(10)));
    kim.say(chat, "live").await;
    assert_run(&ada.run_to(chat, 11).await, 7, 11);

    // Where nothing came: `afterSeq`.
    let entry = ada.enter_after(chat, 11).await;
    assert_eq!((&entry["replayed"], &entry["replayedTo"]), (&json!(0), &json!(11)));
}

async fn a_long_replay_is_truncated(app: TestApp) {
    let (mut kim, mut ada, chat) = set_up(&app, 12).await;
    let entry = ada.enter_after(chat, 0).await;
    assert_eq!((&entry["replayed"], &entry["replayedTo"]), (&json!(5), &json!(5)));
    assert_eq!((&entry["truncated"], &entry["lastSeq"]), (&json!(true), &json!(12)));
    // Nothing live yet, and what is written meanwhile is not lost.
    kim.say(chat, "meanwhile").await;
    ada.has_not_heard("nothing").await;
    assert_run(&ada.run(chat), 1, 5);
    assert_eq!(ada.enter_after(chat, 5).await["truncated"], true);
    let entry = ada.enter_after(chat, 10).await;
    assert_eq!((&entry["truncated"], &entry["replayedTo"]), (&json!(false), &json!(13)));
    kim.say(chat, "live").await;
    assert_run(&ada.run_to(chat, 14).await, 1, 14);
    // A replay of just as many as are allowed is whole.
    assert_eq!(ada.enter_after(chat, 9).await["truncated"], false);
}

async fn a_truncated_replay_stops_what_is_live(app: TestApp) {
    let (mut kim, mut ada, chat) = set_up(&app, 12).await;
    ada.enter(chat).await;
    kim.say(chat, "heard").await;
    ada.hears("heard").await;
    assert_eq!(ada.enter_after(chat, 0).await["truncated"], true);
    ada.forget();
    kim.say(chat, "not yet").await;
    ada.has_not_heard("receive_message").await;
    let entry = ada.enter_after(chat, 10).await;
    assert_eq!((&entry["truncated"], &entry["replayedTo"]), (&json!(false), &json!(14)));
    kim.say(chat, "live again").await;
    assert_run(&ada.run_to(chat, 15).await, 11, 15);
}

async fn a_replay_of_thousands_is_whole(app: TestApp) {
    let (mut kim, mut ada, chat) = set_up(&app, 2500).await;
    let id = ada.submit("enter_chat", json!({"chats": [{"chatId": chat, "afterSeq": 0}]})).await;
    say(&mut kim, chat, 100).await;
    let ack = ada.answer(&id).await.expect("an ack");
    assert_eq!(ack["chats"][0]["truncated"], false);
    assert_run(&ada.run_to(chat, 2600).await, 1, 2600);
}

async fn a_place_beyond_the_end_is_reset(app: TestApp) {
    let (mut kim, mut ada, chat) = set_up(&app, 3).await;
    let entry = ada.enter_after(chat, 4).await;
    assert_eq!((&entry["reset"], &entry["replayed"]), (&json!(true), &json!(0)));
    assert_eq!((&entry["truncated"], &entry["lastSeq"]), (&json!(false), &json!(3)));
    kim.say(chat, "live").await;
    assert_run(&ada.run_to(chat, 4).await, 4, 4);
    assert_eq!(ada.enter_after(chat, 4).await["reset"], false, "the end is not beyond it");
    assert_eq!(ada.enter_after(chat, i64::MAX).await["reset"], true);
}

async fn a_position_can_be_set_back_in_the_room(app: TestApp) {
    let (mut kim, mut ada, chat) = set_up(&app, 5).await;
    ada.enter_after(chat, 3).await;
    assert_run(&ada.run_to(chat, 5).await, 4, 5);
    ada.forget();
    ada.enter_after(chat, 1).await;
    kim.say(chat, "live").await;
    assert_run(&ada.run_to(chat, 6).await, 2, 6);
    // A customer, who is always in the own room, may do so too; own messages come as any other.
    kim.forget();
    kim.enter_after(chat, 0).await;
    assert_run(&kim.run_to(chat, 6).await, 1, 6);
}

async fn a_position_is_set_back_while_others_write(app: TestApp) {
    let (mut kim, mut ada, chat) = set_up(&app, 50).await;
    ada.enter(chat).await;
    for round in 0..20 {
        let from = round * 3;
        for _ in 0..5 {
            kim.submit("send_message", json!({"message": "on and on"})).await;
        }
        let data = json!({"chats": [{"chatId": chat, "afterSeq": from}]});
        let id = ada.submit("enter_chat", data).await;
        // Own ones too, behind the request: their acks stand where the messages would.
        ada.submit("send_message", json!({"chatId": chat, "message": "own"})).await;
        let mut last = kim.submit("send_message", json!({"message": "the round's last"})).await;
        last = kim.answer(&last).await.expect("an ack")["seq"].take();
        let entry = ada.answer(&id).await.expect("an ack")["chats"][0].clone();
        let end = last.as_i64().expect("a seq").max(entry["lastSeq"].as_i64().expect("a seq"));
        let run = ada.run_to(chat, end).await;
        // What came before the request was granted is the old run; the new one begins once.
        let begins = run.iter().rposition(|seq| *seq == from + 1).expect("it began again");
        assert_run(&run[begins..], from + 1, from + (run.len() - begins) as i64);
        ada.forget();
    }
}

async fn entering_is_all_or_nothing(app: TestApp) {
    let (mut kim, mut ada, chat) = set_up(&app, 3).await;
    let lee = app.connect(&customer("lee")).await;
    let some = json!({"chatIds": [chat, 999_999, lee.chat()]});
    ada.refused("enter_chat", some, "chat_not_found").await;
    let some = json!({"chats": [{"chatId": chat, "afterSeq": 0}, {"chatId": 999_999}]});
    ada.refused("enter_chat", some, "chat_not_found").await;
    kim.say(chat, "is anybody here?").await;
    ada.has_not_heard("receive_message").await;
}

async fn a_chat_named_twice_counts_once_the_last(app: TestApp) {
    let (mut kim, mut ada, chat) = set_up(&app, 5).await;
    let twice =
        json!({"chats": [{"chatId": chat, "afterSeq": 0}, {"chatId": chat, "afterSeq": 3}]});
    let ack = ada.ask("enter_chat", twice).await;
    assert_eq!(ack["chats"].as_array().map(Vec::len), Some(1));
    assert_eq!(ack["chats"][0]["replayed"], 2);
    kim.say(chat, "live").await;
    assert_run(&ada.run_to(chat, 6).await, 4, 6);
    let ack = ada.ask("enter_chat", json!({"chatIds": [chat, chat, chat]})).await;
    assert_eq!(ack["chats"].as_array().map(Vec::len), Some(1));
    kim.say(chat, "once").await;
    assert_run(&ada.run_to(chat, 7).await, 4, 7);
    ada.has_not_heard("nothing").await;
    assert_run(&ada.run(chat), 4, 7);
}

async fn who_leaves_hears_nothing_until_entering_again(app: TestApp) {
    let (mut kim, mut ada, chat) = set_up(&app, 1).await;
    for round in 0..10 {
        let last = 1 + 3 * round;
        ada.forget();
        assert_eq!(ada.enter(chat).await["lastSeq"], last);
        kim.say(chat, "heard").await;
        ada.hears("heard").await;
        assert_eq!(ada.ask("leave_chat", json!({"chatIds": [chat]})).await, json!({}));
        kim.say(chat, "missed").await;
        ada.has_not_heard("receive_message").await;
        ada.enter_after(chat, last + 1).await;
        ada.hears("missed").await;
        kim.say(chat, "heard again").await;
        assert_run(&ada.run_to(chat, last + 3).await, last + 1, last + 3);
        ada.ask("leave_chat", json!({"chatIds": [chat]})).await;
    }
    // To leave a chat that one is not in is to be outside of it.
    ada.ask("leave_chat", json!({"chatIds": [chat]})).await;
}

async fn many_chats_are_entered_at_once(app: TestApp) {
    let mut chats = Vec::new();
    for i in 0..100 {
        let mut client = app.connect(&customer(&format!("customer-{i}"))).await;
        client.say(client.chat(), "one").await;
        chats.push((client.chat(), client));
    }
    let mut ada = app.connect(&admin("ada")).await;
    let entries: Vec<_> =
        chats.iter().map(|(chat, _)| json!({"chatId": chat, "afterSeq": 0})).collect();
    let ack = ada.ask("enter_chat", json!({"chats": entries})).await;
    let named: Vec<_> =
        ack["chats"].as_array().expect("chats").iter().map(|c| c["chatId"].as_i64()).collect();
    assert_eq!(
        named,
        chats.iter().map(|(chat, _)| Some(*chat)).collect::<Vec<_>>(),
        "in the order asked"
    );
    for (chat, client) in &mut chats {
        client.say(*chat, "two").await;
    }
    for (chat, _) in &chats {
        assert_run(&ada.run_to(*chat, 2).await, 1, 2);
    }
    let too_many: Vec<_> = (1..=101).collect();
    ada.refused("enter_chat", json!({"chatIds": too_many}), "bad_request").await;
}
