//! A full queue is somebody's to know.

use std::collections::BTreeMap;

use crate::source::{Source, is_identifier, sources};
use crate::{Finding, nothing_breaks};

/// The calls of `do_send`, which no mailbox bounds: the message, how many places send it so, and
/// what bounds the sender instead. An argument that is a variable stands under its own name.
const DO_SEND: &[(&str, usize, &str)] = &[
    ("AddWorker", 1, "one for each worker"),
    ("Announce", 3, "one for each chat that is made, by a request or by another node"),
    ("Answers", 1, "answers to what rooms had a place in the backlog for"),
    ("Attach", 2, "one for each entry, which sessions are limited in"),
    ("CloseRoom", 1, "one of a room at its end"),
    ("Crash", 2, "a test's"),
    ("Delivered", 1, "one batch of a Socket.IO connection is on its way at a time"),
    ("Detach", 2, "one for each entry"),
    ("Disconnect", 1, "one of a session at its end"),
    ("CloseRest", 1, "one at the end"),
    ("CloseSessions", 1, "one at the end"),
    ("ExecutorDied", 1, "one of an executor at its end"),
    ("Hash", 1, "each has a place in the passwords' queue"),
    ("Hint", 2, "one for each room, and look at the database or news of another node"),
    ("Hints", 1, "one for each look at the database"),
    ("Leave", 1, "one for each `leave_chat`, which are metered"),
    ("OpenRoom", 1, "one for each opening of a room, and one for each executor that dies"),
    ("PageRead", 1, "one answer for each page that is asked for"),
    ("Poll", 1, "one for each GET of a Socket.IO client"),
    ("PostedElsewhere", 1, "one for each room and news of another node, which are limited"),
    ("ReadPage", 1, "one for each page that a room or a session waits for"),
    ("Received", 2, "one for each POST and for each frame, and the next only once it is taken"),
    ("SessionOver", 1, "one of a Socket.IO session at its end"),
    ("Remove", 1, "one of a Socket.IO connection at its end"),
    ("Reopen", 1, "one for each room of an executor that died"),
    ("Retire", 1, "one of a room"),
    ("Recheck", 1, "one for each `authenticate`, which are metered"),
    ("RoomIs", 1, "one for each request that is routed"),
    ("TellOwnSessions", 1, "one for each mark that a room had accepted"),
    ("ToldElsewhere", 1, "one for each live state of another node, where they are limited"),
    ("TellPresence", 1, "one for each change of a user, and chat of theirs"),
    ("RoomReport", 2, "one of a room at its end, and one for each of its idle timeouts"),
    ("Seen", 2, "one for each user whose last session has ended, or whose node is gone"),
    ("SocketGone", 1, "one of a WebSocket at its end"),
    ("Submit", 1, "each has a permit of the executor, or is a room's question for its end"),
    (
        "Told",
        1,
        "SessionHandle::send: one answer for each attach, page, call and routed request, and the end",
    ),
    ("ChatUpdated", 1, "one for each chat and look at the database"),
    ("UserChanged", 2, "one for each user that was changed, here or by another node"),
    ("Verify", 1, "each has a place in the passwords' queue"),
    ("View", 1, "one for each `view_chat`, which are metered"),
    ("Watch", 1, "one for each `watch_chats`, which are metered"),
    ("broken", 1, "one of a Socket.IO session at its end"),
    ("change", 1, "one for each node that comes or goes, or has missed something"),
    ("connected", 1, "one of a Socket.IO session that is let in"),
    ("ended", 1, "one GET and one POST of a Socket.IO connection at a time"),
    ("what", 1, "a test's crash"),
];

#[test]
fn no_result_of_a_try_send_is_ignored() {
    nothing_breaks(
        "a full mailbox has a written answer, and somebody is told; ignored, a message is lost in silence",
        sources("src").iter().flat_map(ignored_try_sends),
    );
}

#[test]
fn do_send_is_used_only_where_the_sender_is_bounded() {
    nothing_breaks(
        "do_send goes past the mailbox's bound: say in DO_SEND what bounds the sender instead",
        do_sends(&sources("src"), DO_SEND),
    );
}

fn do_sends(sources: &[Source], allowed: &[(&str, usize, &str)]) -> Vec<Finding> {
    let mut sent: BTreeMap<&str, Vec<String>> =
        allowed.iter().map(|(message, ..)| (*message, Vec::new())).collect();
    for source in sources {
        for at in source.words("do_send") {
            if let Some(argument) = source.code[at..].strip_prefix("do_send(") {
                sent.entry(message(argument)).or_default().push(source.at(at));
            }
        }
    }
    let known =
        |message: &str| allowed.iter().find(|known| known.0 == message).map_or(0, |known| known.1);
    sent.iter()
        .filter(|(message, places)| places.len() != known(message))
        .map(|(message, places)| {
            let what = format!("{} times do_send({message}), not {}", places.len(), known(message));
            Finding::new(places.join(", "), what)
        })
        .collect()
}

/// The type of the message that an argument makes: `Kick` of `Kick::TooSlow`.
fn message(argument: &str) -> &str {
    let path = argument.trim_start();
    let path = &path[..path.find(|c| c != ':' && !is_identifier(c)).unwrap_or(path.len())];
    let names = || path.split("::");
    names().find(|name| name.starts_with(char::is_uppercase)).or(names().last()).unwrap_or(path)
}

fn ignored_try_sends(source: &Source) -> Vec<Finding> {
    let code = &source.code;
    source
        .words("try_send")
        .filter(|&at| {
            let before = statement_before(&code[..at]);
            let after = behind_the_call(&code[at..]);
            is_thrown_away(before, after)
        })
        .map(|at| source.finding(at, "the result of try_send is ignored"))
        .collect()
}

/// The part of the statement before the call.
fn statement_before(code: &str) -> &str {
    let mut depth = 0;
    let start = code.char_indices().rev().find_map(|(at, character)| match character {
        ')' | ']' => {
            depth += 1;
            None
        }
        // A call around this one is part of the statement: `drop(room.try_send(…))`.
        '(' | '[' => {
            depth -= 1;
            None
        }
        ';' | '{' | '}' if depth <= 0 => Some(at + 1),
        _ => None,
    });
    code[start.unwrap_or(0)..].trim()
}

/// The text after the call's closing parenthesis.
fn behind_the_call(code: &str) -> &str {
    let mut depth = 0;
    for (at, character) in code.char_indices() {
        match character {
            '(' => depth += 1,
            ')' if depth == 1 => return code[at + 1..].trim_start(),
            ')' => depth -= 1,
            _ => {}
        }
    }
    ""
}

fn is_thrown_away(before: &str, after: &str) -> bool {
    let swallowed = [".ok()", ".unwrap_or_default()", ".unwrap_or(())"];
    if swallowed.iter().any(|call| after.starts_with(call)) {
        return true;
    }
    let named_away = ["let _", "_ =", "drop("].iter().any(|start| before.starts_with(start));
    let is_bound = before.contains('=') || before.starts_with("return");
    let tested_for_nothing = [".is_ok();", ".is_err();"].iter().any(|call| after.starts_with(call));
    named_away || (!is_bound && (after.starts_with(';') || tested_for_nothing))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignored(statement: &str) -> bool {
        let text = format!("fn f() {{ before(); {statement} }}");
        !ignored_try_sends(&Source::new("src/x.rs", &text)).is_empty()
    }

    #[test]
    fn an_ignored_try_send_is_found() {
        for statement in [
            "let _ = room.try_send(Post { body });",
            "let _ignored = room.try_send(Post);",
            "_ = room.try_send(Post);",
            "self.room(id).try_send(Post(a, b));",
            "room\n.try_send(Post)\n.ok();",
            "room.try_send(Post).is_err();",
            "room.try_send(Post).unwrap_or_default();",
            "drop(room.try_send(Post));",
            "if a { room.try_send(Post); }",
        ] {
            assert!(ignored(statement), "{statement}");
        }
    }

    #[test]
    fn a_try_send_that_somebody_looks_at_is_not() {
        for statement in [
            "room.try_send(Post)",
            "room.try_send(Post)?;",
            "return room.try_send(Post);",
            "let sent = room.try_send(Post);",
            "if let Err(error) = room.try_send(Post) { tell(error) }",
            "if room.try_send(Post).is_err() { tell() }",
            "match room.try_send(Post) { Ok(()) => {} Err(error) => tell(error) }",
            "room.try_send(Post).unwrap_or_else(|full| tell(full));",
            "// let _ = room.try_send(Post);",
        ] {
            assert!(!ignored(statement), "{statement}");
        }
    }

    #[test]
    fn a_do_send_too_many_is_found() {
        let found = |calls: &str| {
            let source = Source::new("src/x.rs", &format!("fn f() {{ {calls} }}"));
            do_sends(&[source], &[("Kick", 1, "why")]).len()
        };
        assert_eq!(found("room.do_send(Kick::TooSlow);"), 0);
        assert_eq!(found("room.do_send(super::Kick { a });"), 0);
        assert_eq!(found("room.do_send(Kick::TooSlow); room.do_send(Kick::Blocked);"), 1);
        assert_eq!(found("room.do_send(Kick::TooSlow); room.do_send(Post(a));"), 1);
        assert_eq!(found("room.do_send(Kick::TooSlow); room.do_send(post);"), 1);
        assert_eq!(found(""), 1, "the list says more than there are");
    }
}
