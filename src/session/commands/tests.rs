use super::authenticate::Authenticate;
use super::create_chat::CreateChat;
use super::enter_chat::EnterChat;
use super::leave_chat::LeaveChat;
use super::read_message::ReadMessage;
use super::send_message::SendMessage;
use super::watch_chats::WatchChats;
use super::*;
use crate::domain::{Body, ClientId, Seq};
use crate::protocol::{Entry, Limits, NewMessage};

const LIMITS: Limits = Limits { message_chars: 10, title_chars: 5, group_members: 3 };

/// Reads the data of a command by its name.
macro_rules! parse {
    ($command:ident, $data:expr) => {
        $command::parse(Some(&raw($data)), &LIMITS)
    };
}

fn raw(data: &str) -> Box<serde_json::value::RawValue> {
    serde_json::value::RawValue::from_string(data.into()).expect("JSON")
}

#[test]
fn a_refusal_names_the_path() {
    macro_rules! refused {
        ($command:ident, $data:expr, $code:ident, $path:expr) => {
            let exception = parse!($command, $data).expect_err($data);
            assert_eq!(
                (exception.code, exception.path.as_deref()),
                (Code::$code, Some($path)),
                "{} {}",
                stringify!($command),
                $data
            );
        };
    }
    refused!(SendMessage, "{}", BadRequest, "data.message");
    refused!(SendMessage, "null", BadRequest, "data.message");
    refused!(SendMessage, r#"{"message":null}"#, BadRequest, "data.message");
    refused!(SendMessage, r#"{"message":7}"#, BadRequest, "data.message");
    refused!(SendMessage, r#"{"message":"  "}"#, BadRequest, "data.message");
    refused!(SendMessage, r#"{"message":"a\u0000"}"#, BadRequest, "data.message");
    refused!(SendMessage, r#"{"message":"12345678901"}"#, TooLarge, "data.message");
    refused!(SendMessage, r#"{"message":"a","chatId":"1"}"#, BadRequest, "data.chatId");
    refused!(
        SendMessage,
        r#"{"message":"a","chatId":9223372036854775808}"#,
        BadRequest,
        "data.chatId"
    );
    refused!(SendMessage, r#"{"message":"a","clientId":""}"#, BadRequest, "data.clientId");
    refused!(SendMessage, r#"{"message":"a","clientId":7}"#, BadRequest, "data.clientId");
    refused!(SendMessage, r#"{"message":"a","expectSeq":-1}"#, BadRequest, "data.expectSeq");
    refused!(SendMessage, r#"{"message":"a","expectSeq":1.5}"#, BadRequest, "data.expectSeq");
    refused!(SendMessage, "[]", BadRequest, "data");
    refused!(ReadMessage, r#"{"chatId":1}"#, BadRequest, "data.seq");
    refused!(ReadMessage, r#"{"seq":1}"#, BadRequest, "data.chatId");
    refused!(ReadMessage, r#"{"chatId":1,"seq":-1}"#, BadRequest, "data.seq");
    refused!(EnterChat, "{}", BadRequest, "data.chatIds");
    refused!(EnterChat, r#"{"chatIds":[]}"#, BadRequest, "data.chatIds");
    refused!(EnterChat, r#"{"chatIds":[1,"a"]}"#, BadRequest, "data.chatIds[1]");
    refused!(EnterChat, r#"{"chats":[{"afterSeq":1}]}"#, BadRequest, "data.chats[0].chatId");
    refused!(
        EnterChat,
        r#"{"chats":[{"chatId":1,"afterSeq":-1}]}"#,
        BadRequest,
        "data.chats[0].afterSeq"
    );
    refused!(EnterChat, r#"{"chats":[[1,2]]}"#, BadRequest, "data.chats[0]");
    refused!(LeaveChat, "{}", BadRequest, "data.chatIds");
    refused!(CreateChat, r#"{"userIds":[]}"#, BadRequest, "data.userIds");
    refused!(CreateChat, r#"{"userIds":[1,2,3,4]}"#, BadRequest, "data.userIds");
    refused!(CreateChat, r#"{"userIds":[1],"title":"123456"}"#, TooLarge, "data.title");
    refused!(WatchChats, r#"{"watch":"yes"}"#, BadRequest, "data.watch");
    refused!(WatchChats, "[true]", BadRequest, "data");
    refused!(Authenticate, "{}", BadRequest, "data.token");
    refused!(
        Authenticate,
        r#"{"token":"t","resume":[{"chatId":true}]}"#,
        BadRequest,
        "data.resume[0].chatId"
    );
}

#[test]
fn a_message_is_read_with_all_that_may_stand_beside_it() {
    let data = r#"{"message":"hi","chatId":3,"clientId":"c","expectSeq":0,"x":1}"#;
    let message = NewMessage {
        body: Body::parse("hi".into(), 10).expect("a body"),
        client_id: ClientId::parse("c".into()).ok(),
        expect_seq: Some(Seq(0)),
    };
    let read = parse!(SendMessage, data).expect(data);
    assert_eq!(
        format!("{read:?}"),
        format!("SendMessage {{ chat: Some(ChatId(3)), message: {message:?} }}")
    );
}

#[test]
fn the_same_chat_twice_counts_once_the_last_one() {
    let data = r#"{"chats":[{"chatId":1,"afterSeq":5},{"chatId":2},{"chatId":1,"afterSeq":3}]}"#;
    let entries = vec![
        Entry { chat_id: ChatId(1), after_seq: Some(Seq(3)) },
        Entry { chat_id: ChatId(2), after_seq: None },
    ];
    assert_eq!(format!("{:?}", parse!(EnterChat, data)), format!("Ok(EnterChat({entries:?}))"));
}

#[test]
fn at_most_a_hundred_chats_are_named_at_once() {
    let ids = |count: usize| format!(r#"{{"chatIds":{:?}}}"#, (0..count).collect::<Vec<_>>());
    assert!(parse!(EnterChat, &ids(100)).is_ok());
    assert!(parse!(EnterChat, &ids(101)).is_err());
}

#[test]
fn names_of_the_protocol_are_reserved_and_documented() {
    use crate::domain::{COMMANDS, PROTOCOL_EVENTS};
    use crate::protocol::SERVER_EVENTS;

    let mut names = NAMES.to_vec();
    names.sort_unstable();
    assert_eq!(names, COMMANDS);
    names.extend(SERVER_EVENTS);
    names.sort_unstable();
    // Both sides say `typing`.
    names.dedup();
    assert_eq!(names, PROTOCOL_EVENTS);
    let document = include_str!("../../../docs/PROTOCOL.md");
    for name in [NAMES, &SERVER_EVENTS].concat() {
        assert!(document.contains(&format!("`{name}`")), "{name} is not documented");
    }
}
