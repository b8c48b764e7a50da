//! Search text of users: folded here, since the two databases lower different letters.

use diesel::{ExpressionMethods, QueryDsl};

use super::backend::transact;
use super::schema::users;
use super::{Store, StoreError};
use crate::domain::UserId;

/// Separates the texts of a user, so that no search matches across two of them.
const BETWEEN: &str = "\u{1}";

/// Rows of an older version that are filled in one transaction.
const ROWS: i64 = 1_000;

/// Lower case, character by character, so that a part of a text folds as in the whole; a final
/// sigma is an ordinary one. Independent of locale; a combining accent is a character of its own.
fn fold(text: &str) -> String {
    let lower = text.chars().flat_map(char::to_lowercase);
    lower.map(|letter| if letter == 'ς' { 'σ' } else { letter }).collect()
}

/// The search text of a user.
pub fn searched(nickname: Option<&str>, email: Option<&str>, subject: &str) -> String {
    fold(&[nickname.unwrap_or_default(), email.unwrap_or_default(), subject].join(BETWEEN))
}

/// The escaped LIKE pattern of texts that contain this one.
pub fn pattern(part: &str) -> String {
    let mut pattern = String::with_capacity(part.len() + 2);
    pattern.push('%');
    for letter in fold(part).chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}

type Row = (UserId, Option<String>, Option<String>, String);

impl Store {
    /// Fills the search text of old rows, some at a time: rows are locked by id, as everywhere, so
    /// several nodes may run it at once.
    pub(super) async fn fill_search(&self) -> Result<(), StoreError> {
        let mut after = UserId(i64::MIN);
        loop {
            let filled: Vec<UserId> = transact!(self, |connection| {
                let rows = users::table
                    .filter(users::search.is_null())
                    .filter(users::id.gt(after))
                    .order(users::id)
                    .limit(ROWS)
                    .select((users::id, users::nickname, users::email, users::subject));
                let rows: Vec<Row> = run!(locked!(rows).load(connection))?;
                let (ids, texts): (Vec<UserId>, Vec<String>) = rows
                    .iter()
                    .map(|(id, nickname, email, subject)| {
                        (*id, searched(nickname.as_deref(), email.as_deref(), subject))
                    })
                    .unzip();
                run!(dialect::set_search(connection, &ids, &texts))?;
                Ok(ids)
            })?;
            match filled.last() {
                Some(last) => after = *last,
                None => return Ok(()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_for_the_letters_themselves() {
        assert_eq!(pattern(r"50%_a\b"), r"%50\%\_a\\b%");
    }

    #[test]
    fn a_part_of_a_text_is_a_part_of_it_folded() {
        let whole: Vec<char> = "ΟΔΟΣ Élan ЖУК İ Straße".chars().collect();
        let text = |letters: &[char]| letters.iter().collect::<String>();
        for size in 1..=whole.len() {
            for part in whole.windows(size) {
                assert!(fold(&text(&whole)).contains(&fold(&text(part))));
            }
        }
        assert_eq!(fold("οδος ÉLAN Жук"), "οδοσ élan жук");
    }

    #[test]
    fn no_search_runs_from_one_text_into_the_next() {
        assert_eq!(searched(Some("Kim"), None, "7"), "kim\u{1}\u{1}7");
    }
}
