//! A message: what may be said, what its author and the others are told, and where it then is.

use reqwest::Method;

use crate::support::{
    TestApp, Value, admin, all, assert_keys, assert_time, customer, json, postgres_scenarios,
    scenarios,
};

scenarios! {
    an_acked_message_is_in_the_history,
    an_ack_says_where_the_message_stands,
    everybody_is_told_the_same_of_a_message,
    a_message_has_one_name_live_and_in_the_log,
    a_line_keeps_the_role_in_which_it_was_written,
    a_customer_need_not_name_the_own_chat,
    an_admin_must_name_the_chat,
    an_admin_sends_without_entering,
    a_text_comes_back_as_it_was_sent,
    a_text_is_measured_in_characters ["limits.message_chars" = 8],
    a_blank_text_is_refused,
    a_message_that_expects_another_end_is_refused,
    of_two_agents_who_answer_at_once_one_does,
}

postgres_scenarios! {
    an_acked_message_is_committed,
    an_entry_of_a_kind_to_come_is_shown_as_that_kind,
}

async fn an_acked_message_is_in_the_history(app: TestApp) {
    let (kim, ada) = (customer("kim"), admin("ada"));
    let mut client = app.connect(&kim).await;
    let chat = client.chat();
    for seq in 1..=20 {
        let ack = client.say(chat, &format!("message {seq}")).await;
        assert_eq!(ack["seq"], seq);
        let page = app.get(&ada, &format!("/chats/{chat}/messages?limit=1")).await.is(200);
        assert_eq!(page["data"][0]["id"], ack["id"], "acked and not in the history");
        assert_eq!(page["data"][0]["message"], format!("message {seq}"));
    }
}

async fn an_entry_of_a_kind_to_come_is_shown_as_that_kind(app: TestApp) {
    let kim = customer("kim");
    let mut first = app.connect(&kim).await;
    let chat = first.chat();
    first.say(chat, "hello").await;
    first.say(chat, "resolved").await;
    let later = "UPDATE messages SET kind = 'status' WHERE seq = 2";
    app.database().connect().await.batch_execute(later).await.expect("an entry");

    let mut replayed = app.resume(&kim, &format!("{chat}:0")).await;
    let frames = [replayed.next().await, replayed.next().await];
    let kinds: Vec<_> = frames.iter().map(|frame| frame.data["kind"].clone()).collect();
    assert_eq!(kinds, ["text", "status"]);
    let page = app.get(&kim, &format!("/chats/{chat}/messages?order=asc")).await.is(200);
    assert_eq!(page["data"], json!(frames.map(|frame| frame.data)));
    let shown = app.get(&kim, &format!("/chats/{chat}")).await.is(200);
    assert_eq!(shown["lastMessage"], page["data"][1]);
}

async fn an_acked_message_is_committed(app: TestApp) {
    let database = app.database().connect().await;
    let mut kim = app.connect(&customer("kim")).await;
    for seq in 1..=20_i64 {
        kim.say(kim.chat(), "written").await;
        let row = database
            .query_one("SELECT count(*) FROM messages WHERE chat_id = $1", &[&kim.chat()])
            .await
            .expect("another connection sees it");
        assert_eq!(row.get::<_, i64>(0), seq);
    }
}

async fn an_ack_says_where_the_message_stands(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    let chat = kim.chat();
    let data = json!({"chatId": chat, "message": "hello", "clientId": "first"});
    let ack = kim.ask("send_message", data).await;
    assert_keys(&ack, &["id", "chatId", "seq", "clientId", "createdAt", "duplicate"]);
    assert!(ack["id"].is_i64());
    assert_eq!((&ack["chatId"], &ack["seq"]), (&json!(chat), &json!(1)));
    assert_eq!((&ack["clientId"], &ack["duplicate"]), (&json!("first"), &json!(false)));
    assert_time(&ack["createdAt"]);

    let second = kim.ask("send_message", json!({"message": "hello"})).await;
    let made = second["clientId"].as_str().expect("the server makes a clientId");
    assert!((1..=64).contains(&made.chars().count()), "{made}");
    assert_eq!(second["seq"], 2);
    assert_ne!(second["id"], ack["id"]);
}

async fn everybody_is_told_the_same_of_a_message(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    let mut ada = app.connect(&admin("ada")).await;
    let chat = kim.chat();
    ada.enter(chat).await;
    let data = json!({"message": "hello", "clientId": "first"});
    let ack = kim.ask("send_message", data).await;
    let pushed = ada.hears("hello").await;
    let expected = json!({
        "id": ack["id"], "chatId": chat, "seq": 1, "kind": "text",
        "author": {"id": kim.user_id(), "nickname": "Kim", "role": "customer"},
        "message": "hello", "clientId": "first", "createdAt": ack["createdAt"],
    });
    assert_eq!(pushed, expected);
    let history = app.history(&customer("kim"), chat).await;
    assert_eq!(history, std::slice::from_ref(&expected));
    let read = app.get(&admin("ada"), &format!("/chats/{chat}")).await.is(200);
    assert_eq!(read["lastMessage"], expected);
    ada.enter_after(chat, 0).await;
    assert_eq!(ada.hears("hello").await, expected, "a replayed one is no other");
}

async fn a_message_has_one_name_live_and_in_the_log(app: TestApp) {
    let person = customer("kim");
    let mut kim = app.connect(&person).await;
    let mut ada = app.connect(&admin("ada")).await;
    let chat = kim.chat();
    ada.enter(chat).await;
    let renamed = person.token_with(&json!({"nickname": "Kay"}));
    let me = app.send(app.request(Method::GET, "/users/me").bearer_auth(&renamed)).await.is(200);
    assert_eq!(me["nickname"], "Kay");
    // The session was welcomed under the name of before.
    kim.say(chat, "hello").await;
    let live = ada.hears("hello").await;
    assert_eq!(live["author"]["nickname"], "Kay");
    assert_eq!(app.history(&admin("ada"), chat).await, std::slice::from_ref(&live));
    let read = app.get(&admin("ada"), &format!("/chats/{chat}")).await.is(200);
    assert_eq!(read["lastMessage"], live);
    assert_eq!(read["members"][0]["nickname"], "Kay");
}

async fn a_line_keeps_the_role_in_which_it_was_written(app: TestApp) {
    let person = customer("kim");
    let mut kim = app.connect(&person).await;
    let mut ada = app.connect(&admin("ada")).await;
    let chat = kim.chat();
    ada.enter(chat).await;
    kim.say(chat, "as a customer").await;
    let first = ada.hears("as a customer").await;
    assert_eq!(first["author"]["role"], "customer");
    let mut promoted = person.clone();
    promoted.role = "admin";
    let mut agent = app.connect(&promoted).await;
    assert_eq!(agent.welcome["user"]["role"], "admin");
    agent.say(chat, "as an admin").await;
    let second = ada.hears("as an admin").await;
    assert_eq!(second["author"]["role"], "admin");
    // A session of the former token writes as what it is.
    kim.say(chat, "as a customer still").await;
    let third = ada.hears("as a customer still").await;
    assert_eq!(third["author"]["role"], "customer");
    assert_eq!(app.history(&promoted, chat).await, [first, second, third.clone()]);
    let read = app.get(&promoted, &format!("/chats/{chat}")).await.is(200);
    assert_eq!(read["lastMessage"], third);
    assert_eq!(read["members"][0]["role"], "admin", "a member is who they are now");
}

async fn a_customer_need_not_name_the_own_chat(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    let ack = kim.ask("send_message", json!({"message": "hello"})).await;
    assert_eq!(ack["chatId"], kim.chat());
    let named = kim.say(kim.chat(), "hello").await;
    assert_eq!((&named["chatId"], &named["seq"]), (&ack["chatId"], &json!(2)));
}

async fn an_admin_must_name_the_chat(app: TestApp) {
    let mut ada = app.connect(&admin("ada")).await;
    let exception = ada.refused("send_message", json!({"message": "hello"}), "bad_request").await;
    assert!(
        exception["message"].as_str().is_some_and(|text| text.contains("chatId")),
        "{exception}"
    );
}

async fn an_admin_sends_without_entering(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    let mut ada = app.connect(&admin("ada")).await;
    let chat = kim.chat();
    let ack = ada.say(chat, "good morning").await;
    assert_eq!(ack["seq"], 1);
    kim.hears("good morning").await;
    kim.say(chat, "morning").await;
    // A chat in which nobody is.
    kim.close().await;
    assert_eq!(ada.say(chat, "gone again?").await["seq"], 3);
    let mark = ada.ask("read_message", json!({"chatId": chat, "seq": 3})).await;
    assert_eq!(mark, json!({"readSeq": 3, "unread": 0}));
    // Entering begins at the end, whatever was acked before.
    ada.enter(chat).await;
    ada.forget();
    app.connect(&customer("kim")).await.say(chat, "back").await;
    assert_eq!(ada.run_to(chat, 4).await, [4]);
}

async fn a_text_comes_back_as_it_was_sent(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    let mut ada = app.connect(&admin("ada")).await;
    let chat = kim.chat();
    ada.enter(chat).await;
    let texts = [
        "  spaces around, \t tabs and\nlines\r\n".to_owned(),
        "שלום, नमस्ते, 你好, \u{1F469}\u{200D}\u{1F4BB}".to_owned(),
        "\u{FEFF}\u{200B}\u{202E}\u{FFFD}\u{10FFFF}".to_owned(),
        r#"<script>alert("1")</script> ' OR 1=1; -- \u0000 %00 {}"#.to_owned(),
        "\u{1}\u{7f}\u{85}x".to_owned(),
        "é".repeat(8000),
    ];
    for text in &texts {
        kim.say(chat, text).await;
        ada.hears(text).await;
    }
    let kept = app.history(&admin("ada"), chat).await;
    let kept: Vec<_> =
        kept.iter().map(|message| message["message"].as_str().expect("a text")).collect();
    assert_eq!(kept, texts);
    // Escaped on the wire or not, it is the same text.
    kim.send_text(r#"{"event":"send_message","data":{"message":"\ud83d\udc4b \u0041"},"id":1}"#)
        .await;
    ada.hears("\u{1F44B} A").await;
}

async fn a_text_is_measured_in_characters(app: TestApp) {
    let person = customer("kim");
    let mut kim = app.connect(&person).await;
    assert_eq!(kim.welcome["limits"]["messageChars"], 8);
    let chat = kim.chat();
    for text in ["12345678", "éééééééé", "👩👩👩👩👩👩👩👩"] {
        kim.say(chat, text).await;
        let longer = format!("{text}!");
        let exception = kim.refused("send_message", json!({"message": longer}), "too_large").await;
        assert!(
            exception["message"].as_str().is_some_and(|m| m.contains("message")),
            "{exception}"
        );
        app.post(&person, &format!("/chats/{chat}/messages"), json!({"message": longer}))
            .await
            .problem(413, "too_large");
    }
    assert_eq!(app.history(&person, chat).await.len(), 3);
}

async fn a_blank_text_is_refused(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    for text in ["", " ", "\n\t ", "\u{3000}\u{85}\u{2029}\u{A0}"] {
        kim.refused("send_message", json!({"message": text}), "bad_request").await;
    }
    // Only White_Space is blank.
    assert_eq!(kim.say(kim.chat(), "\u{200B}").await["seq"], 1);
}

async fn a_message_that_expects_another_end_is_refused(app: TestApp) {
    let mut ada = app.connect(&admin("ada")).await;
    let mut bob = app.connect(&admin("bob")).await;
    let mut kim = app.connect(&customer("kim")).await;
    let chat = kim.chat();
    let reply = |text: &str, seq: i64| json!({"chatId": chat, "message": text, "clientId": text, "expectSeq": seq});
    assert_eq!(kim.ask("send_message", reply("a question", 0)).await["seq"], 1);
    let first = ada.ask("send_message", reply("an answer", 1)).await;
    assert_eq!(first["seq"], 2);
    let moved = bob.refused("send_message", reply("another answer", 1), "chat_moved").await;
    assert_eq!(moved["lastSeq"], 2);
    let ahead = bob.refused("send_message", reply("another answer", 9), "chat_moved").await;
    assert_eq!(ahead["lastSeq"], 2);
    assert_eq!(app.history(&admin("bob"), chat).await.len(), 2, "nothing was stored");

    // A retry of one's own success is a success.
    let again = ada.ask("send_message", reply("an answer", 1)).await;
    assert_eq!((&again["id"], &again["duplicate"]), (&first["id"], &json!(true)));
    // A refused one took nothing: its clientId is free, and so is its place.
    assert_eq!(bob.ask("send_message", reply("another answer", 2)).await["seq"], 3);
    let over_http =
        app.post(&admin("bob"), &format!("/chats/{chat}/messages"), reply("late", 2)).await;
    assert_eq!(over_http.problem(409, "chat_moved")["lastSeq"], 3);
}

async fn of_two_agents_who_answer_at_once_one_does(app: TestApp) {
    let mut kim = app.connect(&customer("kim")).await;
    let chat = kim.chat();
    let mut agents = Vec::new();
    for name in ["ada", "bob", "cleo", "dora"] {
        agents.push(app.connect(&admin(name)).await);
    }
    for round in 0..20 {
        let last = kim.say(chat, "a question").await["seq"].clone();
        let reply = json!({"chatId": chat, "message": "an answer", "expectSeq": last});
        let answers: Vec<Result<Value, Value>> =
            all(agents.iter_mut().map(|agent| agent.request("send_message", reply.clone()))).await;
        let (granted, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!((granted.len(), refused.len()), (1, 3), "round {round}");
        for moved in refused {
            let moved = moved.expect_err("refused");
            assert_eq!(moved["code"], "chat_moved");
            assert_eq!(moved["lastSeq"], 2 * (round + 1));
        }
    }
    assert_eq!(app.history(&customer("kim"), chat).await.len(), 40);
}
