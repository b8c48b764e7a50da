//! A full queue is somebody's to know.

use crate::source::{Source, sources};
use crate::{Finding, nothing_breaks};

/// Where `do_send`, which no mailbox bounds, is right, and why.
const DO_SEND: &[(&str, &str)] = &[
    (
        "src/actors/ws_session",
        "the one `Disconnect` of a session, and its requests, which are counted",
    ),
    (
        "src/actors/room_actor",
        "one answer for each attach, page and post; the one `Kick` of a slow session",
    ),
    ("src/actors/db_executor", "the answers to what rooms had a place in the backlog for"),
    ("src/actors/page_reader", "one answer for each page that was asked for"),
    (
        "src/actors/chat_server",
        "one attach and detach for each entry, which sessions are limited in",
    ),
    ("src/actors/reply", "the one answer of a request"),
    (
        "src/app",
        "one announcement for each chat that is made, one block for each that an admin asks for",
    ),
    ("src/bus/inbound/users", "one for each user that is told of, one after the other"),
    ("src/cluster", "at most what one look at the database brought"),
    ("src/application", "one message for each worker, and one at the end"),
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
        sources("src").iter().flat_map(|source| do_sends(source, DO_SEND)),
    );
}

fn do_sends(source: &Source, allowed: &[(&str, &str)]) -> Vec<Finding> {
    if allowed.iter().any(|(place, _)| source.is_under(place)) {
        return Vec::new();
    }
    source.words("do_send").map(|at| source.finding(at, "do_send")).collect()
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

/// What of the statement stands before the call.
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

/// What follows the call's closing parenthesis.
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
    fn a_do_send_is_found_outside_of_the_list() {
        let found = |path| {
            let source = Source::new(path, "fn f() { room.do_send(Post) }");
            do_sends(&source, &[("src/actors/room", "why")]).len()
        };
        assert_eq!(found("src/http/x.rs"), 1);
        assert_eq!(found("src/actors/room.rs"), 0);
        assert_eq!(found("src/actors/room/fan_out.rs"), 0);
    }
}
