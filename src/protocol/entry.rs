//! Chats to join, and the position in each.

use serde::Deserialize;

use super::ApiError;
use super::object::Object;
use crate::domain::{ChatId, Seq};

/// The most chats that one request may name.
pub const CHATS_NAMED: usize = 100;

/// A chat to join, and the position to continue from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub chat_id: ChatId,
    /// The last `seq` that the client has; `None` begins at the end.
    pub after_seq: Option<Seq>,
}

/// An [`Entry`] on the wire: an object, and nothing else.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct WireEntry(Object<WireFields>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireFields {
    chat_id: ChatId,
    after_seq: Option<Seq>,
}

impl Entry {
    /// Validates the entries at `path`, and keeps the last of each chat.
    ///
    /// # Errors
    /// `bad_request` for a negative position, or for more than `CHATS_NAMED`.
    pub fn check_all(wire: Vec<WireEntry>, path: &str) -> Result<Vec<Self>, ApiError> {
        let fields = wire.into_iter().map(|WireEntry(Object(fields))| fields);
        last_of_each(fields.map(|entry| (entry.chat_id, entry.after_seq)).collect(), path)
    }

    /// Entries without a position, for chats that `path` lists.
    ///
    /// # Errors
    /// `bad_request` for more than `CHATS_NAMED`.
    pub fn at_the_end(chats: Vec<ChatId>, path: &str) -> Result<Vec<Self>, ApiError> {
        last_of_each(chats.into_iter().map(|chat| (chat, None)).collect(), path)
    }
}

/// Parses `?resume=10:55,12:3`: chats, and the last `seq` seen in each.
///
/// # Errors
/// Anything else, or more chats than one request may name.
pub fn resume_from_query(text: &str) -> Result<Vec<Entry>, ApiError> {
    let malformed = || {
        ApiError::bad_request(
            "resume",
            "must be chatId:seq pairs separated by commas, as 10:55,12:3",
        )
    };
    let digits = |text: &str| {
        // `parse` alone would accept a sign.
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<i64>().ok()).flatten()
    };
    let pairs = text
        .split(',')
        .filter(|pair| !text.is_empty() || !pair.is_empty())
        .map(|pair| {
            let (chat, seq) = pair.split_once(':').ok_or_else(malformed)?;
            let chat = ChatId(digits(chat).ok_or_else(malformed)?);
            Ok((chat, Some(Seq(digits(seq).ok_or_else(malformed)?))))
        })
        .collect::<Result<Vec<_>, ApiError>>()?;
    last_of_each(pairs, "resume")
}

fn last_of_each(pairs: Vec<(ChatId, Option<Seq>)>, path: &str) -> Result<Vec<Entry>, ApiError> {
    if pairs.len() > CHATS_NAMED {
        return Err(too_many(path, pairs.len()));
    }
    let mut entries: Vec<Entry> = Vec::with_capacity(pairs.len());
    for (index, (chat_id, after_seq)) in pairs.into_iter().enumerate() {
        let after_seq = after_seq
            .map(|seq| not_negative(seq, &format!("{path}[{index}].afterSeq")))
            .transpose()?;
        match entries.iter_mut().find(|entry| entry.chat_id == chat_id) {
            Some(entry) => entry.after_seq = after_seq,
            None => entries.push(Entry { chat_id, after_seq }),
        }
    }
    Ok(entries)
}

/// Checks that a list has 1 to `CHATS_NAMED` chats.
///
/// # Errors
/// `bad_request` at `path`.
pub fn counted<T>(items: &[T], path: &str) -> Result<(), ApiError> {
    match items.len() {
        0 => Err(ApiError::bad_request(path, "must name at least one chat")),
        1..=CHATS_NAMED => Ok(()),
        count => Err(too_many(path, count)),
    }
}

fn too_many(path: &str, count: usize) -> ApiError {
    ApiError::bad_request(path, format!("names {count} chats, {CHATS_NAMED} are allowed"))
}

/// Checks a position or a mark.
///
/// # Errors
/// `bad_request` at `path`.
pub fn not_negative(seq: Seq, path: &str) -> Result<Seq, ApiError> {
    if seq < Seq::ZERO {
        return Err(ApiError::bad_request(path, "must not be negative"));
    }
    Ok(seq)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resume_in_a_query_is_pairs_of_numbers() {
        let entries = resume_from_query("10:55,12:3").expect("pairs");
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[1], Entry { chat_id: ChatId(12), after_seq: Some(Seq(3)) });
        assert_eq!(resume_from_query(""), Ok(vec![]));
        for text in [
            "10",
            "10:",
            ":5",
            "a:b",
            "10:55,",
            "10:-1",
            "10:+1",
            "1:2:3",
            "99999999999999999999:1",
        ] {
            assert!(resume_from_query(text).is_err(), "{text}");
        }
    }
}
