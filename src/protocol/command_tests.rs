use super::*;

const LIMITS: Limits = Limits { message_chars: 10, title_chars: 5, group_members: 3 };

fn parse(event: &str, data: &str) -> Result<Command, ApiError> {
    let text = format!(r#"{{"event":"{event}","data":{data}}}"#);
    Command::parse(&Envelope::parse(&text).expect("an envelope"), &LIMITS)
}

fn refused(event: &str, data: &str) -> (Code, String) {
    let exception = parse(event, data).expect_err(data);
    (exception.code, exception.path.unwrap_or_default())
}

#[test]
fn a_message_is_read_with_all_that_may_stand_beside_it() {
    let command =
        parse("send_message", r#"{"message":"hi","chatId":3,"clientId":"c","expectSeq":0,"x":1}"#);
    let message = Outgoing {
        body: Body::parse("hi".into(), 10).expect("a body"),
        client_id: ClientId::parse("c".into()).ok(),
        expect_seq: Some(Seq(0)),
    };
    assert_eq!(command, Ok(Command::SendMessage { chat_id: Some(ChatId(3)), message }));
}

#[test]
fn a_refusal_names_the_path() {
    for (event, data, code, path) in [
        ("send_message", "{}", Code::BadRequest, "data.message"),
        ("send_message", "null", Code::BadRequest, "data.message"),
        ("send_message", r#"{"message":null}"#, Code::BadRequest, "data.message"),
        ("send_message", r#"{"message":7}"#, Code::BadRequest, "data.message"),
        ("send_message", r#"{"message":"  "}"#, Code::BadRequest, "data.message"),
        ("send_message", r#"{"message":"a\u0000"}"#, Code::BadRequest, "data.message"),
        ("send_message", r#"{"message":"12345678901"}"#, Code::TooLarge, "data.message"),
        ("send_message", r#"{"message":"a","chatId":"1"}"#, Code::BadRequest, "data.chatId"),
        (
            "send_message",
            r#"{"message":"a","chatId":9223372036854775808}"#,
            Code::BadRequest,
            "data.chatId",
        ),
        ("send_message", r#"{"message":"a","clientId":""}"#, Code::BadRequest, "data.clientId"),
        ("send_message", r#"{"message":"a","clientId":7}"#, Code::BadRequest, "data.clientId"),
        ("send_message", r#"{"message":"a","expectSeq":-1}"#, Code::BadRequest, "data.expectSeq"),
        ("send_message", r#"{"message":"a","expectSeq":1.5}"#, Code::BadRequest, "data.expectSeq"),
        ("read_message", r#"{"chatId":1}"#, Code::BadRequest, "data.seq"),
        ("read_message", r#"{"seq":1}"#, Code::BadRequest, "data.chatId"),
        ("read_message", r#"{"chatId":1,"seq":-1}"#, Code::BadRequest, "data.seq"),
        ("enter_chat", "{}", Code::BadRequest, "data.chatIds"),
        ("enter_chat", r#"{"chatIds":[]}"#, Code::BadRequest, "data.chatIds"),
        ("enter_chat", r#"{"chatIds":[1,"a"]}"#, Code::BadRequest, "data.chatIds[1]"),
        ("enter_chat", r#"{"chats":[{"afterSeq":1}]}"#, Code::BadRequest, "data.chats[0].chatId"),
        (
            "enter_chat",
            r#"{"chats":[{"chatId":1,"afterSeq":-1}]}"#,
            Code::BadRequest,
            "data.chats[0].afterSeq",
        ),
        ("leave_chat", "{}", Code::BadRequest, "data.chatIds"),
        ("create_chat", r#"{"userIds":[]}"#, Code::BadRequest, "data.userIds"),
        ("create_chat", r#"{"userIds":[1,2,3,4]}"#, Code::BadRequest, "data.userIds"),
        ("create_chat", r#"{"userIds":[1],"title":"123456"}"#, Code::TooLarge, "data.title"),
        ("watch_chats", r#"{"watch":"yes"}"#, Code::BadRequest, "data.watch"),
        ("authenticate", "{}", Code::BadRequest, "data.token"),
        (
            "authenticate",
            r#"{"token":"t","resume":[{"chatId":true}]}"#,
            Code::BadRequest,
            "data.resume[0].chatId",
        ),
        ("send_message", "[]", Code::BadRequest, "data"),
        ("watch_chats", "[true]", Code::BadRequest, "data"),
        ("enter_chat", r#"{"chats":[[1,2]]}"#, Code::BadRequest, "data.chats[0]"),
        ("nonsense", "{}", Code::UnknownEvent, ""),
    ] {
        assert_eq!(refused(event, data), (code, path.to_owned()), "{event} {data}");
    }
}

#[test]
fn the_same_chat_twice_counts_once_the_last_one() {
    let command = parse(
        "enter_chat",
        r#"{"chats":[{"chatId":1,"afterSeq":5},{"chatId":2},{"chatId":1,"afterSeq":3}]}"#,
    );
    let entries = vec![
        Entry { chat_id: ChatId(1), after_seq: Some(Seq(3)) },
        Entry { chat_id: ChatId(2), after_seq: None },
    ];
    assert_eq!(command, Ok(Command::EnterChat(entries)));
}

#[test]
fn at_most_a_hundred_chats_are_named_at_once() {
    let ids = |count: usize| serde_json::to_string(&(0..count).collect::<Vec<_>>()).expect("JSON");
    assert!(parse("enter_chat", &format!(r#"{{"chatIds":{}}}"#, ids(100))).is_ok());
    assert!(parse("enter_chat", &format!(r#"{{"chatIds":{}}}"#, ids(101))).is_err());
}

#[test]
fn resume_in_a_query_is_pairs_of_numbers() {
    let entries = resume_from_query("10:55,12:3").expect("pairs");
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[1], Entry { chat_id: ChatId(12), after_seq: Some(Seq(3)) });
    assert_eq!(resume_from_query(""), Ok(vec![]));
    for text in
        ["10", "10:", ":5", "a:b", "10:55,", "10:-1", "10:+1", "1:2:3", "99999999999999999999:1"]
    {
        assert!(resume_from_query(text).is_err(), "{text}");
    }
}
