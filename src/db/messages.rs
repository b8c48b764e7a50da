//! Reads of messages: keyset pages of a log, and ranges.

use diesel::{ExpressionMethods, JoinOnDsl, QueryDsl, SelectableHelper};

use super::backend::read;
use super::rows::{Authors, MessageRow};
use super::schema::{messages, users};
use super::{Store, StoreError};
use crate::domain::{ChatId, Message, Seq};

/// A page of a chat's log, between two exclusive bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryPage {
    pub after: Option<Seq>,
    pub before: Option<Seq>,
    pub newest_first: bool,
    pub limit: i64,
}

impl HistoryPage {
    /// Keyset: the rest of the log behind the last message shown.
    #[must_use]
    pub fn behind(mut self, shown: Option<Seq>) -> Self {
        if self.newest_first {
            self.before = [self.before, shown].into_iter().flatten().min();
        } else {
            self.after = self.after.max(shown);
        }
        self
    }
}

/// The messages of a chat with `after` < `seq` ≤ `up_to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub chat_id: ChatId,
    pub after: Seq,
    pub up_to: Seq,
}

impl Store {
    /// A page of a chat's log.
    pub async fn history(
        &self,
        chat: ChatId,
        page: HistoryPage,
    ) -> Result<Vec<Message>, StoreError> {
        let after = page.after.unwrap_or(Seq::ZERO);
        let before = page.before.unwrap_or(Seq(i64::MAX));
        // The statement's text is the same for every page, so it is prepared once.
        let rows: Vec<MessageRow> = read!(self, |connection| {
            let between = messages::table
                .inner_join(users::table.on(users::id.eq(messages::author_id)))
                .filter(messages::chat_id.eq(chat))
                .filter(messages::seq.gt(after))
                .filter(messages::seq.lt(before))
                .limit(page.limit)
                .select(MessageRow::as_select());
            if page.newest_first {
                run!(between.order(messages::seq.desc()).load::<MessageRow>(connection))
            } else {
                run!(between.order(messages::seq).load::<MessageRow>(connection))
            }
        })?;
        Ok(Authors::messages(rows))
    }

    /// Reads ranges of many chats in one query: for each the messages in order, at most `limit` and
    /// at most `bytes` of bodies, but at least one if there is any.
    pub async fn ranges(
        &self,
        ranges: Vec<Range>,
        limit: i64,
        bytes: usize,
    ) -> Result<Vec<Vec<Message>>, StoreError> {
        read!(self, |connection| { run!(dialect::ranges(connection, &ranges, limit, bytes)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_goes_on_within_its_bounds() {
        let bounds = |newest_first, shown: Option<i64>, after: Option<i64>, before: Option<i64>| {
            let (after, before) = (after.map(Seq), before.map(Seq));
            let page = HistoryPage { after, before, newest_first, limit: 50 };
            let page = page.behind(shown.map(Seq));
            (page.after.map(|seq| seq.0), page.before.map(|seq| seq.0))
        };
        assert_eq!(bounds(false, None, Some(3), None), (Some(3), None));
        assert_eq!(bounds(false, Some(10), Some(3), Some(20)), (Some(10), Some(20)));
        assert_eq!(bounds(false, Some(10), None, None), (Some(10), None));
        assert_eq!(bounds(true, None, None, Some(20)), (None, Some(20)));
        assert_eq!(bounds(true, Some(10), Some(3), Some(20)), (Some(3), Some(10)));
        assert_eq!(bounds(true, Some(10), None, None), (None, Some(10)));
    }
}
