//! Lists over HTTP: their parameters, and the address of the next page.

use std::fmt::Write;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;

use super::{Query, json};
use crate::protocol::{self, ApiError, Key, Order, PageQuery};

/// A requested page, and the parameters of the next one.
pub struct ListRequest {
    list: protocol::PageRequest,
    path: String,
    /// Filters and bounds, as in the next page's address.
    filters: String,
}

impl ListRequest {
    /// Reads `limit`, `order` and `after` for the list under `path`.
    ///
    /// # Errors
    /// As [`protocol::PageRequest::new`], or a `limit` that is not a number.
    pub fn from_query(
        query: &Query,
        path: String,
        limit: i64,
        order: Order,
    ) -> Result<Self, ApiError> {
        let asked = PageQuery {
            limit: query.number("limit")?,
            order: query.text("order")?,
            after: query.text("after")?,
        };
        let list = protocol::PageRequest::new(&path, asked, limit, order)?;
        Ok(Self { list, path, filters: String::new() })
    }

    /// Adds a filter; a cursor belongs to one filter.
    #[must_use]
    pub fn filter(mut self, name: &str, value: Option<&str>) -> Self {
        if let Some(value) = value {
            let from = self.filters.len();
            push(&mut self.filters, name, value);
            self.list.filter(self.filters.get(from..).unwrap_or_default());
        }
        self
    }

    /// Adds a bound; a cursor belongs to it, as to a filter.
    #[must_use]
    pub fn bound(self, name: &str, value: Option<i64>) -> Self {
        self.filter(name, value.map(|value| value.to_string()).as_deref())
    }

    #[must_use]
    pub fn order(&self) -> Order {
        self.list.order()
    }

    /// Number of rows to read.
    #[must_use]
    pub fn rows(&self) -> i64 {
        self.list.rows()
    }

    /// The key of the row that this page comes after; `None` on the first page.
    ///
    /// # Errors
    /// A cursor that is not this list's.
    pub fn after(&self) -> Result<Option<Key>, ApiError> {
        self.list.after()
    }

    /// The response, from up to [`ListRequest::rows`] rows.
    ///
    /// # Errors
    /// No client can cause one.
    pub fn answer<'r, R, V: Serialize>(
        &self,
        rows: &'r [R],
        key: impl Fn(&R) -> Key,
        view: impl Fn(&'r R) -> V,
    ) -> Result<HttpResponse, ApiError> {
        let page = self.list.page(rows, key, view);
        let count = page.count;
        let next = page.cursor.after.as_deref().map(|after| self.next(after));
        json(StatusCode::OK, &LinkedPage { page, next }, count)
    }

    fn next(&self, after: &str) -> String {
        let Self { list, path, filters } = self;
        let (limit, order) = (list.limit(), list.order().as_str());
        format!("{path}?limit={limit}&after={after}&order={order}{filters}")
    }
}

#[derive(Serialize)]
struct LinkedPage<V> {
    #[serde(flatten)]
    page: protocol::Page<V>,
    next: Option<String>,
}

/// Adds `&name=value`, percent-encoded.
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

    fn list(query: &str) -> Result<ListRequest, ApiError> {
        let query = Query::parse(query).expect("a query");
        ListRequest::from_query(&query, "/chats".to_owned(), 20, Order::Desc)
    }

    async fn page(list: &ListRequest, rows: &[i64]) -> Value {
        let body = list.answer(rows, |row| (*row, 0), |row| row).expect("an answer").into_body();
        assert!(matches!(body.size(), actix_web::body::BodySize::Sized(_)));
        serde_json::from_slice(&to_bytes(body).await.expect("a body")).expect("JSON")
    }

    fn refused(query: &str) -> String {
        let exception = list(query).err().expect(query);
        exception.path.expect("a path")
    }

    #[test]
    fn a_limit_is_a_number() {
        for limit in ["0", "101", "-1", "x", "", "1.5"] {
            assert_eq!(refused(&format!("limit={limit}")), "limit");
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
    async fn a_cursor_belongs_to_its_list_its_order_its_filters_and_its_bounds() {
        let list = |order: &str, filter, bound| {
            list(order).expect("a list").filter("q", filter).bound("afterSeq", bound)
        };
        let first = list("limit=1", Some("kim"), Some(3));
        let page = page(&first, &[9, 8]).await;
        let after = page["cursor"]["after"].as_str().expect("a cursor");
        for (order, filter, bound, whose) in [
            ("desc", Some("kim"), Some(3), true),
            ("asc", Some("kim"), Some(3), false),
            ("desc", Some("lee"), Some(3), false),
            ("desc", None, Some(3), false),
            ("desc", Some("kim"), Some(4), false),
            ("desc", Some("kim"), None, false),
        ] {
            let other = list(&format!("order={order}&after={after}"), filter, bound);
            assert_eq!(other.after().is_ok(), whose, "{order} {filter:?} {bound:?}");
        }
    }

    #[actix_web::test]
    async fn a_filter_goes_on_in_the_next_pages_address() {
        let list = list("limit=1").expect("a list").filter("q", Some("é &=%"));
        let next = page(&list, &[9, 8]).await["next"].as_str().expect("a next page").to_owned();
        assert!(next.ends_with("&order=desc&q=%C3%A9%20%26%3D%25"), "{next}");
    }
}
