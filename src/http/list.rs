//! The envelope of every list, and the parameters that every list has.

use std::fmt::Write;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;

use super::cursor::{self, Key};
use super::{Query, json};
use crate::protocol::Exception;

/// The most rows of one page.
pub const LIMIT_MAX: i64 = 100;

/// Which end of a list comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Asc,
    Desc,
}

impl Order {
    fn as_str(self) -> &'static str {
        match self {
            Self::Asc => "asc",
            Self::Desc => "desc",
        }
    }
}

/// One page that was asked for: where it begins, how long it is, and how the next is asked for.
pub struct List {
    limit: i64,
    order: Order,
    after: Option<String>,
    path: String,
    /// The filters, as they stand in the next page's address.
    filters: String,
    /// What a cursor belongs to: the list, its order, and the filters that say what is in it.
    scope: String,
}

impl List {
    /// Reads `limit`, `order` and `after` for the list under `path`.
    ///
    /// # Errors
    /// A `limit` outside 1 to [`LIMIT_MAX`], or an `order` that is neither `asc` nor `desc`.
    pub fn of(query: &Query, path: String, limit: i64, order: Order) -> Result<Self, Exception> {
        let limit = match query.number("limit")? {
            None => limit,
            Some(limit @ 1..=LIMIT_MAX) => limit,
            Some(_) => {
                return Err(Exception::bad_request("limit", format!("must be 1 to {LIMIT_MAX}")));
            }
        };
        let order = match query.text("order")? {
            None => order,
            Some("asc") => Order::Asc,
            Some("desc") => Order::Desc,
            Some(_) => return Err(Exception::bad_request("order", "must be asc or desc")),
        };
        let after = query.text("after")?.map(str::to_owned);
        let scope = format!("{path}?order={}", order.as_str());
        Ok(Self { limit, order, after, path, filters: String::new(), scope })
    }

    /// A filter of what is in the list: a cursor belongs to it.
    #[must_use]
    pub fn filter(mut self, name: &str, value: Option<&str>) -> Self {
        if let Some(value) = value {
            let from = self.filters.len();
            push(&mut self.filters, name, value);
            self.scope.push_str(self.filters.get(from..).unwrap_or_default());
        }
        self
    }

    /// An end of the list: a cursor goes on from where it stands, with or without it.
    #[must_use]
    pub fn bound(mut self, name: &str, value: Option<i64>) -> Self {
        if let Some(value) = value {
            push(&mut self.filters, name, &value.to_string());
        }
        self
    }

    #[must_use]
    pub fn order(&self) -> Order {
        self.order
    }

    /// How many rows to read: one more than are shown tells whether this page is the last.
    #[must_use]
    pub fn rows(&self) -> i64 {
        self.limit + 1
    }

    /// The key of the row that this page comes after; `None` on the first page.
    ///
    /// # Errors
    /// A cursor that is not this list's.
    pub fn after(&self) -> Result<Option<Key>, Exception> {
        self.after.as_deref().map(|text| cursor::open(&self.scope, text)).transpose()
    }

    /// The answer, from up to [`List::rows`] rows.
    ///
    /// # Errors
    /// None that a client could cause.
    pub fn answer<'r, R, V: Serialize>(
        &self,
        rows: &'r [R],
        key: impl Fn(&R) -> Key,
        view: impl Fn(&'r R) -> V,
    ) -> Result<HttpResponse, Exception> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let shown = rows.get(..limit).unwrap_or(rows);
        let more = rows.len() > shown.len();
        let after = shown.last().filter(|_| more).map(|last| cursor::seal(&self.scope, key(last)));
        let next = after.as_deref().map(|after| self.next(after));
        let data = shown.iter().map(view).collect();
        let page = Page { data, cursor: After { after }, count: shown.len(), next };
        json(StatusCode::OK, &page, shown.len())
    }

    fn next(&self, after: &str) -> String {
        let Self { path, limit, filters, .. } = self;
        format!("{path}?limit={limit}&after={after}&order={}{filters}", self.order.as_str())
    }
}

#[derive(Serialize)]
struct Page<V> {
    data: Vec<V>,
    cursor: After,
    count: usize,
    next: Option<String>,
}

#[derive(Serialize)]
struct After {
    after: Option<String>,
}

/// Adds `&name=value`, with everything escaped that could mean something in a query.
fn push(query: &mut String, name: &str, value: &str) {
    query.push('&');
    query.push_str(name);
    query.push('=');
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                query.push(byte.into());
            }
            // Writing to a String cannot fail.
            _ => drop(write!(query, "%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::{MessageBody, to_bytes};
    use serde_json::{Value, json};

    use super::*;

    fn list(query: &str) -> Result<List, Exception> {
        let query = Query::parse(query).expect("a query");
        List::of(&query, "/chats".to_owned(), 20, Order::Desc)
    }

    async fn page(list: &List, rows: &[i64]) -> Value {
        let body = list.answer(rows, |row| (*row, 0), |row| row).expect("an answer").into_body();
        assert!(matches!(body.size(), actix_web::body::BodySize::Sized(_)));
        serde_json::from_slice(&to_bytes(body).await.expect("a body")).expect("JSON")
    }

    fn refused(query: &str) -> String {
        let exception = list(query).err().expect(query);
        exception.path.expect("a path")
    }

    #[test]
    fn a_limit_is_one_to_a_hundred() {
        assert_eq!(list("").expect("a list").rows(), 21);
        assert_eq!(list("limit=1").expect("a list").rows(), 2);
        assert_eq!(list("limit=100").expect("a list").rows(), 101);
        for limit in ["0", "101", "-1", "x", "", "1.5"] {
            assert_eq!(refused(&format!("limit={limit}")), "limit");
        }
    }

    #[test]
    fn an_order_is_asc_or_desc() {
        assert_eq!(list("").expect("a list").order(), Order::Desc);
        assert_eq!(list("order=asc").expect("a list").order(), Order::Asc);
        for order in ["", "ASC", "up"] {
            assert_eq!(refused(&format!("order={order}")), "order");
        }
    }

    #[actix_web::test]
    async fn a_page_with_another_behind_it_says_how_to_go_on() {
        let first = list("limit=2").expect("a list");
        let page = page(&first, &[9, 8, 7]).await;
        assert_eq!(page["data"], json!([9, 8]));
        assert_eq!(page["count"], 2);
        let after = page["cursor"]["after"].as_str().expect("a cursor");
        assert_eq!(page["next"], format!("/chats?limit=2&after={after}&order=desc"));
        let next = list(&format!("limit=7&after={after}")).expect("a list");
        assert_eq!(next.after(), Ok(Some((8, 0))));
    }

    #[actix_web::test]
    async fn a_full_last_page_is_the_last() {
        let list = list("limit=2").expect("a list");
        for rows in [&[9, 8][..], &[9], &[]] {
            let page = page(&list, rows).await;
            let last = json!({
                "data": rows, "cursor": {"after": null}, "count": rows.len(), "next": null,
            });
            assert_eq!(page, last);
        }
    }

    #[actix_web::test]
    async fn a_cursor_belongs_to_its_list_its_order_and_its_filters() {
        let list = |order: &str, filter| {
            list(order).expect("a list").filter("q", filter).bound("afterSeq", Some(3))
        };
        let first = list("limit=1", Some("kim"));
        let page = page(&first, &[9, 8]).await;
        let after = page["cursor"]["after"].as_str().expect("a cursor");
        for (order, filter, whose) in [
            ("desc", Some("kim"), true),
            ("asc", Some("kim"), false),
            ("desc", Some("lee"), false),
            ("desc", None, false),
        ] {
            let other = list(&format!("order={order}&after={after}"), filter);
            assert_eq!(other.after().is_ok(), whose, "{order} {filter:?}");
        }
    }

    #[actix_web::test]
    async fn a_filter_goes_on_in_the_next_pages_address() {
        let list = list("limit=1").expect("a list").filter("q", Some("é &=%"));
        let next = page(&list, &[9, 8]).await["next"].as_str().expect("a next page").to_owned();
        assert!(next.ends_with("&order=desc&q=%C3%A9%20%26%3D%25"), "{next}");
    }
}
